"""What is particular to the cells that read the time since the last step, computed as their papers write it."""

import math
from typing import Any

import pytest
import torch
from by_hand import assert_as_written, by_gate
from torch import Tensor

from every_cell import draw_state, draw_weights, per_unit
from recurra import Recurrent, kernels
from recurra.cells import GRUD, CfC, Gates, PhasedLSTM, State, TimedCfC, TimeLSTM
from recurra.cells.cell import Cell
from recurra.errors import ParameterError
from recurra.kernels import Weights


def projections(cell: Cell, weights: Weights, read: Tensor) -> dict[str, Tensor]:
    w, b = by_gate(cell, weights.weight_hh), by_gate(cell, weights.bias_hh)
    return {gate: read @ w[gate].T + b[gate] for gate in cell.gates}


def inputs(cell: Cell, weights: Weights, x: Tensor) -> dict[str, Tensor]:
    w, b = by_gate(cell, weights.weight_ih), by_gate(cell, weights.bias_ih)
    return {gate: x @ w[gate].T + b[gate] for gate in cell.gates}


def test_a_gru_d() -> None:
    cell = GRUD()

    def write(weights: Weights) -> Any:
        def step(x: Tensor, h: Tensor) -> tuple[Tensor, ...]:
            own = inputs(cell, weights, x)
            h = torch.exp(-own["elapsed"].clamp(min=0)) * h
            u = projections(cell, weights, h)
            r, z = (torch.sigmoid(own[gate] + u[gate]) for gate in "rz")
            return ((1 - z) * torch.tanh(own["n"] + r * u["n"]) + z * h,)

        return step

    assert_as_written(cell, write)


def test_a_time_lstm() -> None:
    cell = TimeLSTM()

    def write(weights: Weights) -> Any:
        def step(x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, ...]:
            own, u = inputs(cell, weights, x), projections(cell, weights, h)
            short = torch.tanh(projections(cell, weights, c)["s"])
            discount = 1 / torch.log(math.e + own["elapsed"].clamp(min=0))
            i, f, o = (torch.sigmoid(own[gate] + u[gate]) for gate in "ifo")
            c = f * (c - short + short * discount) + i * torch.tanh(own["g"] + u["g"])
            return o * torch.tanh(c), c

        return step

    assert_as_written(cell, write)


def test_a_phased_lstm() -> None:
    cell = PhasedLSTM(ratio=0.4, leak=0.01)

    def write(weights: Weights) -> Any:
        own_parameters = per_unit(cell, weights)

        def step(x: Tensor, h: Tensor, c: Tensor, t: Tensor) -> tuple[Tensor, ...]:
            own, u, p = inputs(cell, weights, x), projections(cell, weights, h), own_parameters
            period = torch.exp(p["log_period"])
            t = (t + own["elapsed"] / period) % 1
            phase = (t * period - p["shift"] * period) % period / period
            rising, falling = 2 * phase / cell.ratio, 2 - 2 * phase / cell.ratio
            is_open = torch.where(phase < cell.ratio / 2, rising, falling)
            k = torch.where(phase < cell.ratio, is_open, cell.leak * phase)
            i = torch.sigmoid(own["i"] + u["i"] + p["peephole_i"] * c)
            f = torch.sigmoid(own["f"] + u["f"] + p["peephole_f"] * c)
            proposed = f * c + i * torch.tanh(own["g"] + u["g"])
            o = torch.sigmoid(own["o"] + u["o"] + p["peephole_o"] * proposed)
            return k * o * torch.tanh(proposed) + (1 - k) * h, k * proposed + (1 - k) * c, t

        return step

    assert_as_written(cell, write)


def test_a_closed_unit_keeps_its_state_until_its_period_begins_again() -> None:
    layer = Recurrent(PhasedLSTM(ratio=0.25, leak=0.0), 3, 2, dtype=torch.float64, backend="reference")
    with torch.no_grad():
        layer.get_parameter("log_period_l0").fill_(math.log(8))
        layer.get_parameter("shift_l0").copy_(torch.tensor([0.0, 0.5]))
    output, _ = layer(torch.randn(24, 1, 3, dtype=torch.float64))
    change = output.diff(dim=0, prepend=torch.zeros(1, 1, 2, dtype=torch.float64)).abs()[:, 0] > 1e-9
    # A unit is open within the first quarter of its 8 steps, and not at its ends: at step 1 after its period begins.
    steps = torch.arange(1, 25)
    assert torch.equal(change, torch.stack([steps % 8 == 1, steps % 8 == 5], 1))


@pytest.mark.parametrize(("name", "value"), [("ratio", 0.0), ("ratio", 1.5), ("leak", -0.1), ("leak", 2)])
def test_phases_out_of_their_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(ParameterError, match=f"^{name}: expected "):
        PhasedLSTM(**{name: value})


def test_a_timed_cfc_at_one_time_is_a_cfc_of_that_interval() -> None:
    weights, state, x = draw_weights(TimedCfC(), 3, 4), draw_state(CfC(), 2, 4), torch.randn(5, 2, 3).double()
    assert weights.bias_ih is not None
    assert weights.bias_hh is not None
    assert weights.weight_hh is not None
    plain = Weights(weights.weight_ih[4:], weights.weight_hh[4:], weights.bias_ih[4:], weights.bias_hh[4:])
    expected = kernels.run("reference", CfC(2.5), x, state, plain)
    with torch.no_grad():
        weights.weight_ih[:4] = 0
        weights.bias_ih[:4] = 2.5
    torch.testing.assert_close(kernels.run("reference", TimedCfC(), x, state, weights), expected)


def update(self: Cell, x: Gates, u: Gates, s: State, p: object) -> State:
    return State(h=s.h + x.b)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("elapsed", {"elapsed": "sometimes"}),
        ("gates", {"elapsed": "same"}),
        ("layer_norm", {"gates": ("elapsed", "b"), "elapsed": "same", "layer_norm": True}),
        ("recurrent_only", {"recurrent_only": ("q",)}),
        ("recurrent_only", {"recurrent_only": ("a", "b")}),
        ("recurrent_only", {"recurrent_only": ("a",), "recurrence": "none"}),
        ("input_only", {"input_only": ("q",)}),
        ("input_only", {"input_only": ("a", "b")}),
        ("input_only", {"input_only": ("a",), "recurrence": "none"}),
        ("input_only", {"input_only": ("a",), "recurrent_only": ("a",)}),
        ("input_only", {"input_only": ("b",), "second_stage_gates": ("b",), "modulated": update}),
        ("layer_norm", {"input_only": ("a",), "layer_norm": True}),
    ],
    ids=lambda part: ", ".join(part) if isinstance(part, dict) else part,
)
def test_a_declaration_that_does_not_fit_is_refused(name: str, parts: dict[str, object]) -> None:
    whole = {"gates": ("a", "b"), "state": ("h",), "update": update}
    assert type("Right", (Cell,), whole | {"recurrent_only": ("a",)}).input_gates() == ("b",)
    only = type("Right", (Cell,), whole | {"input_only": ("a",)})
    assert (only.input_gates(), only.recurrent_gates()) == (("a", "b"), ("b",))
    with pytest.raises(ParameterError, match=rf"^Wrong\.{name}: expected "):
        type("Wrong", (Cell,), whole | parts)
