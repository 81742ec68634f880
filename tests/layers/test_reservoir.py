"""Reservoirs: their weights, their leak, the echo state property, and that they are fixed."""

from typing import Any

import pytest
import torch
from torch import Tensor

from recurra.cells import (
    GRU,
    LSTM,
    RHN,
    SLSTM,
    Cell,
    Elman,
    GRUResetBefore,
    IndRNN,
    Jordan,
    LayerNormLSTM,
    MinGRU,
    TimeLSTM,
)
from recurra.errors import ParameterError
from recurra.kernels import Masks, reference
from recurra.layers import Architecture, EchoState, Recurrent, Reservoir, initialize, trunk
from recurra.streaming import Stepper


def made(state: EchoState, inputs: int, units: int, **options: Any) -> Reservoir:
    torch.manual_seed(1)
    return Reservoir(state, inputs, units, dtype=torch.float64, **options)


def recurrent(layer: Any) -> Tensor:
    return layer.get_parameter("weight_hh_l0")


def radii(weights: Tensor) -> Tensor:
    return torch.linalg.eigvals(weights).abs().amax(-1)


@pytest.mark.parametrize("cell", [Elman(), GRU(), LSTM()], ids=repr)
def test_each_gate_has_the_spectral_radius_and_density(cell: Cell) -> None:
    layer = made(EchoState(cell, spectral_radius=1.3, density=0.2, input_scale=0.5, bias_scale=0.1), 4, 60)
    gates = recurrent(layer).view(len(cell.gates), 60, 60)
    torch.testing.assert_close(radii(gates), torch.full((len(gates),), 1.3, dtype=torch.float64))
    assert abs(float((gates != 0).double().mean()) - 0.2) < 0.03
    assert 0.24 < float(layer.weight_ih_l0.abs().max()) <= 0.25  # 0.5 / sqrt(4)
    assert 0.09 < float(layer.get_parameter("bias_ih_l0").abs().max()) <= 0.1
    assert not bool(layer.get_parameter("bias_hh_l0").any())


def test_a_unit_reads_ten_others_by_default() -> None:
    layer = made(EchoState(), 1, 200)
    assert abs(float((recurrent(layer) != 0).sum(1).double().mean()) - 10) < 1
    assert bool((recurrent(made(EchoState(), 1, 6)) != 0).all())


def test_the_radius_of_heads_and_of_single_units() -> None:
    heads = made(EchoState(SLSTM(2), spectral_radius=0.7), 2, 12)
    of_gates = radii(recurrent(heads).view(4, 2, 6, 6)).amax(
        1
    )  # that of a block-diagonal matrix is the largest of its blocks
    torch.testing.assert_close(of_gates, torch.full((4,), 0.7, dtype=torch.float64))
    units = made(EchoState(IndRNN(), spectral_radius=0.7), 2, 5)
    assert float(recurrent(units).abs().max()) == pytest.approx(0.7)


def test_leak_mixes_the_old_state_with_the_new() -> None:
    layer, x = made(EchoState(leak=0.3), 2, 7), torch.randn(5, 1, 2, dtype=torch.float64)
    state = torch.zeros(1, 7, dtype=torch.float64)
    for t in range(5):
        drive = x[t] @ layer.weight_ih_l0.T + layer.get_parameter("bias_ih_l0") + state @ recurrent(layer).T
        state = 0.7 * state + 0.3 * drive.tanh()
    output, final = layer(x)
    torch.testing.assert_close(output[-1], state)
    torch.testing.assert_close(final[0], state)


def test_every_part_of_a_state_leaks() -> None:
    layer, x = made(EchoState(LSTM(), leak=0.4), 2, 5, backend="reference"), torch.randn(6, 2, 2, dtype=torch.float64)
    masks = Masks(None, (torch.full((1, 1, 5), 0.6, dtype=torch.float64),) * 2)
    start = (torch.zeros(2, 5, dtype=torch.float64),) * 2
    expected, (_, c) = reference.run(layer.cell, x, start, layer.weights_of(0), None, False, masks)
    output, (_, last) = layer(x)
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(last[0], c)


def test_states_forget_how_they_began() -> None:
    """The echo state property (Jaeger 2001), below a radius of 1; well above it the states stay apart."""
    x = 0.1 * torch.randn(300, 1, 1, dtype=torch.float64)

    def apart(radius: float) -> float:
        layer = made(EchoState(spectral_radius=radius, bias_scale=0.0), 1, 40)
        ends = [layer(x, torch.full((1, 1, 40), first, dtype=torch.float64))[0][-1] for first in (-0.9, 0.9)]
        return float((ends[0] - ends[1]).abs().max())

    assert apart(0.8) < 1e-12
    assert apart(2.5) > 1e-2


def test_weights_are_fixed_and_gradients_flow_to_the_input() -> None:
    reservoir, readout = Reservoir(EchoState(leak=0.5), 3, 8), torch.nn.Linear(8, 1)
    torch.nn.ModuleList([reservoir, readout]).train()
    assert not reservoir.training
    x = torch.randn(4, 2, 3, requires_grad=True)
    assert torch.equal(reservoir(x)[0], reservoir(x)[0])  # no zoneout is sampled
    readout(reservoir(x)[0]).sum().backward()
    assert x.grad is not None
    assert float(x.grad.abs().min()) > 0
    assert all(one.grad is None and not one.requires_grad for one in reservoir.parameters())


def test_initialization_leaves_it_alone() -> None:
    model = torch.nn.Sequential(Reservoir(EchoState(), 2, 6), Recurrent(Elman(), 6, 3))
    before = recurrent(model[0]).clone()
    assert all(name.startswith("1.") for name in initialize(model))
    assert torch.equal(recurrent(model[0]), before)


@pytest.mark.parametrize("cell", [Elman(), GRUResetBefore(), SLSTM(2)], ids=repr)
def test_a_stream_has_the_same_numbers(cell: Cell) -> None:
    layer, x = Reservoir(EchoState(cell, leak=0.5), 3, 8), torch.randn(6, 1, 3)
    stepper = Stepper(layer)
    first, state = stepper(x[:2])
    rest, _ = stepper(x[2:], state)
    torch.testing.assert_close(torch.cat([first, rest]), layer(x)[0], rtol=1e-5, atol=1e-6)


def test_a_trunk_of_a_reservoir() -> None:
    layer = trunk(EchoState(), 3, 8, bidirectional=True)
    assert isinstance(layer, Reservoir)
    assert layer(torch.zeros(2, 4, 3))[0].shape == (2, 4, 16)
    with pytest.raises(ParameterError, match="num_layers: expected 1 of a reservoir"):
        trunk(EchoState(), 3, 8, 2)
    with pytest.raises(ParameterError, match="elapsed_size: expected 1 of a reservoir"):
        trunk(EchoState(), 3, 8, elapsed_size=2)
    assert not isinstance(trunk(Architecture.of("hawk"), 8, 8), Reservoir)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"spectral_radius": 0.0}, "spectral_radius: expected a positive number"),
        ({"leak": 1.5}, "leak: expected a positive number of at most 1"),
        ({"density": 0.0}, "density: expected a positive number of at most 1"),
        ({"bias_scale": -1.0}, "bias_scale: expected 0 or a positive number"),
        ({"bias_scale": True}, "bias_scale: expected 0 or a positive number"),
        ({"bias_scale": "0.2"}, "bias_scale: expected 0 or a positive number"),
        ({"cell": MinGRU()}, "has no recurrent weights"),
        ({"cell": TimeLSTM()}, "reads the time"),
        ({"cell": RHN()}, "products or sizes of its own"),
        ({"cell": Jordan()}, "projects its output"),
        ({"cell": LayerNormLSTM()}, "normalises its projections"),
        ({"cell": IndRNN(), "density": 0.5}, "density: expected None"),
    ],
    ids=str,
)
def test_refusals(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        EchoState(**options)


def test_weights_that_never_return_are_refused() -> None:
    with pytest.raises(ParameterError, match="density: expected enough recurrent weights"):
        made(EchoState(density=1e-6), 1, 5)
