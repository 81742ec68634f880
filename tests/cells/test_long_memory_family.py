"""What is particular to UGRNN, JANET, BRC, NBRC, STAR, coRNN, LEM and the multiplicative LSTM."""

from typing import Any

import pytest
import torch
from by_hand import Step, assert_as_written, by_gate
from torch import Tensor
from torch.nn.functional import relu

from agreement import assert_agree
from every_cell import draw_state, draw_weights, flat, per_unit
from recurra import Recurrent, kernels
from recurra.cells import BRC, GRU, JANET, LEM, LSTM, NBRC, STAR, UGRNN, Cell, CoRNN, MultiplicativeLSTM
from recurra.errors import ParameterError
from recurra.kernels import Weights


class Projections:
    """W x + b and U h + d of a gate, from the rows of a layer's weights."""

    def __init__(self, cell: Cell, w: Weights) -> None:
        self._inputs = by_gate(cell, w.weight_ih), by_gate(cell, w.bias_ih)
        if w.weight_hh is not None:
            self._recurrent = by_gate(cell, w.weight_hh), by_gate(cell, w.bias_hh)

    def of_input(self, gate: str, x: Tensor) -> Tensor:
        weights, biases = self._inputs
        return x @ weights[gate].T + biases[gate]

    def of_units(self, gate: str, h: Tensor) -> Tensor:
        weights, biases = self._recurrent
        return h @ weights[gate].T + biases[gate]

    def both(self, gate: str, x: Tensor, h: Tensor) -> Tensor:
        return self.of_input(gate, x) + self.of_units(gate, h)


@pytest.mark.parametrize(("name", "f"), [("tanh", torch.tanh), ("relu", relu)], ids=["tanh", "relu"])
def test_a_ugrnn(name: str, f: Any) -> None:
    def write(w: Weights) -> Step:
        of = Projections(UGRNN(name), w)

        def step(x: Tensor, h: Tensor) -> tuple[Tensor]:
            g = torch.sigmoid(of.both("g", x, h))
            return (g * h + (1 - g) * f(of.both("c", x, h)),)

        return step

    assert_as_written(UGRNN(name), write)


def test_a_ugrnn_is_a_gru_whose_reset_gate_is_open() -> None:
    weights, state, x = draw_weights(UGRNN(), 3, 4), draw_state(UGRNN(), 2, 4), torch.randn(6, 2, 3).double()
    weight_ih, weight_hh, bias_ih, bias_hh = (torch.cat([torch.zeros_like(w[:4]), w]) for w in flat(weights))
    opened = Weights(weight_ih, weight_hh, bias_ih + 50 * (torch.arange(12) < 4), bias_hh)
    expected = kernels.run("reference", GRU(), x, state, opened)
    assert_agree(kernels.run("reference", UGRNN(), x, state, weights), expected)


@pytest.mark.parametrize("beta", [1.0, 0.3])
def test_a_janet(beta: float) -> None:
    def write(w: Weights) -> Step:
        of = Projections(JANET(), w)

        def step(x: Tensor, h: Tensor) -> tuple[Tensor]:
            a = of.both("f", x, h)
            return (torch.sigmoid(a) * h + (1 - torch.sigmoid(a - beta)) * torch.tanh(of.both("n", x, h)),)

        return step

    assert_as_written(JANET(beta), write)


def test_a_brc() -> None:
    def write(w: Weights) -> Step:
        of, own = Projections(BRC(), w), per_unit(BRC(), w)

        def step(x: Tensor, h: Tensor) -> tuple[Tensor]:
            a = 1 + torch.tanh(of.of_input("a", x) + own["w_a"] * h)
            c = torch.sigmoid(of.of_input("c", x) + own["w_c"] * h)
            return (c * h + (1 - c) * torch.tanh(of.of_input("n", x) + a * h),)

        return step

    assert_as_written(BRC(), write)


def test_an_nbrc() -> None:
    def write(w: Weights) -> Step:
        of = Projections(NBRC(), w)

        def step(x: Tensor, h: Tensor) -> tuple[Tensor]:
            a = 1 + torch.tanh(of.both("a", x, h))
            c = torch.sigmoid(of.both("c", x, h))
            return (c * h + (1 - c) * torch.tanh(of.of_input("n", x) + a * h),)

        return step

    assert_as_written(NBRC(), write)


def test_a_unit_of_a_brc_has_two_states_where_a_is_above_1_and_one_where_it_is_below() -> None:
    # c lets half of the state go at each step.
    layer = Recurrent(BRC(), 1, 2, dtype=torch.float64, backend="reference")
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            parameter.fill_(1.0 if name == "w_a_l0" else 0.0)
        layer.get_parameter("w_c_l0").zero_()
        layer.get_parameter("bias_ih_l0")[:2] = torch.tensor([1.0, -1.0])
        x, h = torch.zeros(100, 2, 1).double(), torch.tensor([[[0.5, 0.5], [-0.5, -0.5]]]).double()
        _, final = layer(x, h)
    remembers, forgets = final[0].unbind(1)
    assert remembers[0] > 0.5
    assert remembers[1] < -0.2
    assert forgets.abs().max() < 1e-6


def test_a_star_cell() -> None:
    def write(w: Weights) -> Step:
        of = Projections(STAR(), w)

        def step(x: Tensor, h: Tensor) -> tuple[Tensor]:
            k = torch.sigmoid(of.both("k", x, h))
            return (torch.tanh((1 - k) * h + k * torch.tanh(of.of_input("z", x))),)

        return step

    assert_as_written(STAR(), write)


@pytest.mark.parametrize("cell", [CoRNN(), CoRNN(0.5, 1.5, 0.25)], ids=str)
def test_a_co_rnn(cell: CoRNN) -> None:
    def write(w: Weights) -> Step:
        of = Projections(cell, w)

        def step(x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
            force = torch.tanh(of.both("a", x, y) + of.of_units("z", z))
            z = z + cell.dt * force - cell.dt * cell.gamma * y - cell.dt * cell.epsilon * z
            return y + cell.dt * z, z

        return step

    assert_as_written(cell, write)


def test_a_co_rnn_without_force_is_a_damped_oscillator() -> None:
    # y'' = -gamma y - epsilon y', whose solution is known.
    cell = CoRNN(dt=0.01, gamma=4.0, epsilon=0.2)
    layer = Recurrent(cell, 1, 1, bias=False, dtype=torch.float64, backend="reference")
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        one, zero = torch.ones(1, 1, 1).double(), torch.zeros(1, 1, 1).double()
        output, _ = layer(torch.zeros(300, 1, 1).double(), (one, zero))
    time = 0.01 * torch.arange(1, 301).double()
    frequency = (4.0 - 0.01) ** 0.5
    exact = torch.exp(-0.1 * time) * (torch.cos(frequency * time) + 0.1 / frequency * torch.sin(frequency * time))
    torch.testing.assert_close(output[:, 0, 0], exact, rtol=0, atol=3e-2)


@pytest.mark.parametrize("dt", [1.0, 0.25])
def test_a_lem(dt: float) -> None:
    def write(w: Weights) -> Step:
        of = Projections(LEM(), w)

        def step(x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
            dt_z = dt * torch.sigmoid(of.both("dt_z", x, y))
            dt_y = dt * torch.sigmoid(of.both("dt_y", x, y))
            z = (1 - dt_z) * z + dt_z * torch.tanh(of.both("z", x, y))
            return (1 - dt_y) * y + dt_y * torch.tanh(of.of_input("y", x) + of.of_units("y", z)), z

        return step

    assert_as_written(LEM(dt), write)


def test_a_multiplicative_lstm() -> None:
    cell = MultiplicativeLSTM()

    def write(w: Weights) -> Step:
        of = Projections(cell, w)

        def step(x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
            m = of.of_input("m", x) * of.of_units("m", h)
            i, f, o = (torch.sigmoid(of.both(gate, x, m)) for gate in "ifo")
            c = f * c + i * torch.tanh(of.both("g", x, m))
            return o * torch.tanh(c), c

        return step

    assert_as_written(cell, write)


def test_a_multiplicative_lstm_whose_factor_of_the_input_is_1_is_an_lstm_of_two_matrices() -> None:
    cell = MultiplicativeLSTM()
    weights, state, x = draw_weights(cell, 3, 4), draw_state(cell, 2, 4), torch.randn(6, 2, 3).double()
    W, U, b, d = (tensor.detach().clone() for tensor in flat(weights))
    W[:4], b[:4], d[:4] = 0, 1, 0
    expected = kernels.run("reference", LSTM(), x, state, Weights(W[4:], U[4:] @ U[:4], b[4:], d[4:]))
    assert_agree(kernels.run("reference", cell, x, state, Weights(W, U, b, d)), expected)


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        (UGRNN, {"nonlinearity": "sigmoid"}, r"^nonlinearity: expected 'tanh' or 'relu', got 'sigmoid'\."),
        (JANET, {"beta": 0}, r"^beta: expected a positive number, got 0\."),
        (CoRNN, {"dt": True}, r"^dt: expected a positive number, got True\."),
        (CoRNN, {"gamma": -1.0}, r"^gamma: expected a positive number, got -1\.0\."),
        (CoRNN, {"epsilon": float("inf")}, r"^epsilon: expected a positive number, got inf\."),
        (LEM, {"dt": 1.5}, r"^dt: expected a positive number of at most 1, got 1\.5\."),
        (LEM, {"dt": "1"}, r"^dt: expected a positive number of at most 1, got '1'\."),
    ],
)
def test_options_are_checked(kind: type[Cell], options: Any, said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        kind(**options)
