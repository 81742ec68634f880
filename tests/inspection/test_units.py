from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

import recurra
from every_cell import KINDS, fitting
from recurra import cells
from recurra.cells import Cell, Gates, PerUnit, State
from recurra.inspection import gate_activations, gate_saturation, gate_values, record, state_statistics
from recurra.ops import sigmoid, tanh

KNOWN: dict[Any, list[tuple[str, str]]] = {
    cells.LSTM(): [("i", "sigmoid"), ("f", "sigmoid"), ("g", "tanh"), ("o", "sigmoid")],
    cells.PeepholeLSTM(): [("i", "sigmoid"), ("f", "sigmoid"), ("g", "tanh"), ("o", "sigmoid")],
    cells.GRU(): [("r", "sigmoid"), ("z", "sigmoid"), ("n", "tanh")],
    cells.GRUResetBefore(): [("r", "sigmoid"), ("z", "sigmoid"), ("n", "tanh")],
    cells.Elman("relu"): [("h", "relu")],
    cells.FastGRNN(): [("a", "sigmoid"), ("a", "tanh")],
    cells.SLSTM(): [("z", "tanh"), ("o", "sigmoid")],
    cells.CfC(): [("g", "tanh"), ("h", "tanh"), ("a+b", "sigmoid")],
}


@dataclass(frozen=True)
class TwoTimes(Cell):
    """A cell of a user: one gate twice, a nonlinearity of the state, and one of a nonlinearity."""

    gates = ("a", "b")
    state = ("h", "m")

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        m = sigmoid(x.a + u.a) * s.m + sigmoid(x.a - u.a) * tanh(sigmoid(x.b))
        return State(h=tanh(m), m=m)


@dataclass(frozen=True)
class Untraceable(Cell):
    """What runs on the reference, but cannot be traced."""

    gates = ("a",)
    state = ("h",)

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(h=torch.tanh(x.a + u.a))


@pytest.mark.parametrize("cell", KNOWN, ids=repr)
def test_gates_are_found_in_the_equations(cell: Cell) -> None:
    assert [(a.gate, a.function) for a in gate_activations(cell)] == KNOWN[cell]


def test_gates_of_a_cell_of_one_s_own() -> None:
    found = [(a.gate, a.function) for a in gate_activations(TwoTimes())]
    assert sorted(found) == [("a", "sigmoid"), ("a (2)", "sigmoid"), ("b", "sigmoid")]


@pytest.mark.parametrize("cell", KINDS, ids=repr)
def test_values_of_the_gates_of_every_cell_are_in_range(cell: Cell) -> None:
    layer = recurra.Recurrent(cell, 3, fitting(cell, 4))
    (segment,) = record(layer, torch.randn(5, 2, 3)).segments
    for activation, values in gate_values(segment).items():
        assert values.shape == (10, segment.carried[0][-1].shape[1])
        low, high = {"sigmoid": (0, 1), "tanh": (-1, 1), "relu": (0, np.inf)}[activation.function]
        assert low <= float(values.min()) <= float(values.max()) <= high


def test_gate_values_are_those_of_the_equations() -> None:
    layer = recurra.LSTM(3, 4, dtype=torch.float64)
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    (segment,) = record(layer, x).segments
    values = {a.gate: v.unflatten(0, (5, 2)) for a, v in gate_values(segment).items()}
    h, c = segment.after()
    before = segment.before()[1]
    assert torch.allclose(values["f"] * before + values["i"] * values["g"], c)
    assert torch.allclose(values["o"] * torch.tanh(c), h)


def test_a_gate_with_a_huge_bias_is_stuck() -> None:
    layer = recurra.LSTM(3, 4)
    with torch.no_grad():
        layer.bias_ih_l0[4:6] += 50  # type: ignore[index]
        layer.bias_ih_l0[6] -= 50  # type: ignore[index]
        layer.bias_ih_l0[8] -= 50  # type: ignore[index]
    gates, untraced = gate_saturation(record(layer, torch.randn(20, 4, 3)))
    found = {gate.gate: gate for gate in gates}
    assert untraced == {}
    assert found["f"].stuck_high.tolist() == [0, 1]
    assert found["f"].stuck_low.tolist() == [2]
    assert found["f"].high[:2].tolist() == [1, 1]
    assert found["f"].stuck == 3
    assert found["f"].saturated == pytest.approx(0.75)
    assert found["g"].stuck_low.tolist() == [0]
    assert found["g"].mean[0] == pytest.approx(-1)
    assert found["i"].stuck == found["o"].stuck == 0
    assert ((found["i"].tenth <= found["i"].mean) & (found["i"].mean <= found["i"].ninetieth)).all()


def test_shares_of_time_are_over_true_steps() -> None:
    layer = recurra.Recurrent(cells.MinGRU(), 1, 1, bias=False, dtype=torch.float64)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.fill_(1)
    x = torch.tensor([9.0, 9.0, 0.0, 9.0, 9.0, 9.0], dtype=torch.float64).reshape(6, 1, 1)
    gates, _ = gate_saturation(record(layer, x, lengths=torch.tensor([4])))
    assert gates[0].function == "sigmoid"
    assert gates[0].high.tolist() == [0.75]
    assert gates[0].low.tolist() == [0]


def test_a_relu_that_never_opens() -> None:
    layer = recurra.RNN(3, 4, nonlinearity="relu")
    with torch.no_grad():
        layer.bias_ih_l0[1] -= 50  # type: ignore[index]
    recording = record(layer, torch.randn(20, 4, 3))
    (gate,), _ = gate_saturation(recording)
    assert gate.stuck_low.tolist() == [1]
    assert gate.high.max() == 0
    assert state_statistics(recording)[0].dead.tolist() == [1]


def test_a_cell_that_cannot_be_traced_is_named_with_the_reason() -> None:
    layer = recurra.Recurrent(Untraceable(), 3, 4, backend="reference")
    gates, untraced = gate_saturation(record(layer, torch.randn(5, 2, 3)))
    assert gates == ()
    assert list(untraced) == ["layer 1"]
    assert untraced["layer 1"].startswith("Untraceable.update")


def test_dead_units_and_statistics() -> None:
    layer = recurra.GRU(3, 4, dtype=torch.float64)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            parameter[2::4] = 0  # unit 2 of every gate
            assert name
    recording = record(layer, torch.randn(20, 4, 3, dtype=torch.float64))
    (found,) = state_statistics(recording)
    states = recording.tracks[0].segments[0].after()[0].flatten(0, 1).numpy()
    assert (found.name, found.part) == ("layer 1", "h")
    assert found.dead.tolist() == [2]
    assert np.allclose(found.mean, states.mean(0))
    assert np.allclose(found.deviation, states.std(0))
    assert np.allclose(found.greatest - found.least, np.ptp(states, axis=0))
