"""`initialize`: orthogonal and other first weights, biases that keep the state, chrono, and the record of it all."""

import copy
import math
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import covering
import recurra
from agreement import assert_agree
from every_cell import CELLS, FIRST_USE, KINDS, fitting
from recurra import Recurrent, RecurrentCell, cells
from recurra.cells import Cell
from recurra.errors import ParameterError
from recurra.layers import initialize


def layer_of(cell: Cell, **options: Any) -> Recurrent:
    return Recurrent(cell, 3, fitting(cell, 4), dtype=torch.float64, **options)


def blocks(layer: Recurrent, name: str) -> Tensor:
    """The recurrent weights by gate and head, (G * N, H / N, K)."""
    return layer.get_parameter(name).detach().unflatten(0, (len(layer.cell.recurrent_gates()) * layer.cell.heads, -1))


def biases(layer: Any, suffix: str = "_l0") -> dict[str, Tensor]:
    """What the biases of each gate add up to, and per-unit parameters that are biases."""
    found = dict(layer.named_parameters())
    by_gate: dict[str, Tensor] = {}
    for name, gates in (("ih", layer.cell.input_gates()), ("hh", layer.cell.recurrent_gates())):
        if (bias := found.get(f"bias_{name}{suffix}")) is not None:
            for gate, rows in zip(gates, bias.detach().chunk(len(gates)), strict=True):
                by_gate[gate] = by_gate.get(gate, 0) + rows
    return by_gate | {name: found[name + suffix].detach() for name in layer.cell.keeps if name in layer.cell.per_unit}


MIXING = [cell for cell in KINDS if cell.recurrence in ("dense", "block_diagonal")]


@pytest.mark.parametrize("cell", MIXING, ids=str)
def test_recurrent_weights_are_orthogonal_by_gate_and_head(cell: Cell) -> None:
    layer = layer_of(cell, num_layers=2, bidirectional=True)
    done = initialize(layer)
    for name in ("weight_hh_l0", "weight_hh_l1_reverse"):
        found = blocks(layer, name)
        assert_agree(found @ found.transpose(1, 2), torch.eye(found.shape[1]).double().expand_as(found))
        assert done[name] == "orthogonal per gate" + (" and head" if cell.heads > 1 else "")
    assert not torch.equal(blocks(layer, "weight_hh_l0"), blocks(layer, "weight_hh_l0_reverse"))


def test_recurrent_weights_of_a_projected_output() -> None:
    layer = layer_of(cells.LSTM(), proj_size=2)
    assert initialize(layer)["weight_hr_l0"] == "xavier_uniform"
    found = blocks(layer, "weight_hh_l0")
    assert_agree(found.transpose(1, 2) @ found, torch.eye(2).double().expand(4, 2, 2))


def test_identity() -> None:
    layer = layer_of(cells.Elman("relu"), num_layers=2)
    assert initialize(layer, "identity")["weight_hh_l1"] == "identity per gate"
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    with torch.no_grad():
        _, final = layer(torch.zeros_like(x), torch.ones(2, 2, 4).double())
    assert_agree(final[0], torch.ones(2, 4).double())
    heads = layer_of(cells.SLSTM(heads=2))
    assert initialize(heads, "identity")["weight_hh_l0"] == "identity per gate and head"
    assert_agree(blocks(heads, "weight_hh_l0"), torch.eye(2).double().expand(8, 2, 2))


def test_uniform_is_as_a_layer_is_made() -> None:
    layer = Recurrent(cells.GRU(), 3, 400)
    done = initialize(layer, "uniform", "uniform")
    assert done["weight_hh_l0"] == done["weight_ih_l0"] == "uniform"
    for name in ("weight_hh_l0", "weight_ih_l0"):
        assert 0.04 < float(layer.get_parameter(name).detach().abs().max()) <= 0.05


@pytest.mark.parametrize("scheme", ["xavier_uniform", "xavier_normal", "orthogonal"])
def test_input_weights_are_drawn_gate_by_gate(scheme: str) -> None:
    layer = Recurrent(cells.LSTM(), 60, 100)
    assert initialize(layer, input=scheme)["weight_ih_l0"] == f"{scheme} per gate"
    for block in layer.weight_ih_l0.detach().chunk(4):
        if scheme == "orthogonal":
            torch.testing.assert_close(block.t() @ block, torch.eye(60), rtol=0, atol=1e-5)
        else:
            deviation = math.sqrt(2 / (60 + 100))
            assert abs(float(block.std()) / deviation - 1) < 0.05
            assert (float(block.abs().max()) <= deviation * math.sqrt(3)) == (scheme == "xavier_uniform")


@pytest.mark.parametrize("cell", KINDS, ids=str)
def test_everything_is_recorded_and_drawn_anew(cell: Cell) -> None:
    layer = layer_of(cell, num_layers=2, bidirectional=True)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.fill_(math.nan)
    done = initialize(nn.ModuleDict({"inner": layer}))
    assert list(done) == [f"inner.{name}" for name, _ in layer.named_parameters()]
    assert all(parameter.isfinite().all() for parameter in layer.parameters())
    for name, parameter in layer.named_parameters():
        plain = name.partition("_l")[0]
        if plain.startswith("norm_"):
            assert (parameter == 1).all()
            assert done[f"inner.{name}"] == "one"
        elif plain not in cell.keeps and plain in {*cell.per_unit, *cell.initial}:
            assert done[f"inner.{name}"] == ("as the cell says" if plain in cell.initial else "uniform")


@covering.parametrize({"cell": [*CELLS, *FIRST_USE], "forget_bias": [1.0, 2.1]}, strength=1)
def test_biases_are_zero_but_for_the_gate_that_keeps(cell: Cell, forget_bias: float) -> None:
    layer = layer_of(cell, bidirectional=True)
    done = initialize(layer, forget_bias=forget_bias)
    for suffix, (gate, bias) in product(("_l0", "_l0_reverse"), biases(layer).items()):
        expected = forget_bias * cell.keeps.get(gate, 0)
        assert_agree(biases(layer, suffix)[gate], torch.full_like(bias, expected))
    for gate, sign in cell.keeps.items():
        name = "bias_ih_l0" if gate in cell.gates else f"{gate}_l0"
        assert f"forget gate {gate}: {sign * forget_bias}" in done[name]
    if not cell.keeps:
        assert done["bias_ih_l0"] == "zero"


KEEPING = [cell for cell in CELLS if cell.keeps]


@pytest.mark.parametrize("cell", KEEPING, ids=str)
def test_chrono(cell: Cell) -> None:
    layer = Recurrent(cell, 3, 400, 2, dtype=torch.float64)
    done = initialize(layer, "uniform", chrono=600)
    times = {}
    for suffix in ("_l0", "_l1"):
        found = biases(layer, suffix)
        for gate, bias in found.items():
            if gate in cell.keeps:
                times[suffix] = (bias * cell.keeps[gate]).exp()
                assert 1 <= times[suffix].min() < 15
                assert 585 < times[suffix].max() <= 599
                assert abs(times[suffix].mean() - 300) < 30
        for gate, bias in found.items():
            if gate in cell.admits:
                assert_agree(bias, -times[suffix].log())
            elif gate not in cell.keeps:
                assert not bias.any()
    assert not torch.equal(times["_l0"], times["_l1"])
    assert any(said.endswith("up to 600 steps") for said in done.values())


def test_chrono_keeps_longer_than_a_forget_bias() -> None:
    """By behaviour: the share of an LSTM's memory that is there after 100 steps, and how much a long input adds."""
    left = {}
    for chrono in (None, 400):
        layer = Recurrent(cells.LSTM(), 3, 200, dtype=torch.float64)
        initialize(layer, chrono=chrono)
        with torch.no_grad():
            layer.get_parameter("weight_hh_l0").zero_()
            ones = torch.ones(1, 1, 200, dtype=torch.float64)
            left[chrono] = layer(torch.zeros(100, 1, 3).double(), (ones, ones))[1][1].mean()
    assert left[None] < 1e-6
    assert left[400] > 0.3


THEIRS = [nn.RNN, nn.LSTM, nn.GRU, nn.RNNCell, nn.LSTMCell, nn.GRUCell]


@pytest.mark.parametrize("kind", THEIRS)
@pytest.mark.parametrize("options", [{}, {"recurrent": "identity", "input": "orthogonal", "chrono": 20}], ids=str)
def test_torch_s_modules_are_initialized_as_ours(kind: Any, options: Any) -> None:
    if kind in (nn.RNN, nn.RNNCell):
        options = {name: value for name, value in options.items() if name != "chrono"}
    found = []
    for module in (kind(3, 4), getattr(recurra, kind.__name__)(3, 4)):
        torch.manual_seed(4)
        found.append((initialize(module, **options), list(module.state_dict().values())))
    assert found[0][0] == found[1][0]
    assert all(torch.equal(a, b) for a, b in zip(found[0][1], found[1][1], strict=True))


def test_stacks_of_torch_and_accelerated_modules() -> None:
    linear = nn.Linear(2, 3)
    model = nn.Sequential(linear, nn.LSTM(3, 4, 2, bidirectional=True, proj_size=2))
    other = copy.deepcopy(model)
    recurra.accelerate(other)
    before = linear.weight.detach().clone()
    done = []
    for module in (model, other):
        torch.manual_seed(4)
        done.append(initialize(module))
    assert done[0] == done[1]
    assert {name.partition(".")[0] for name in done[0]} == {"1"}
    assert torch.equal(linear.weight, before)
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("chrono", [None, 50])
def test_dtypes(dtype: torch.dtype, chrono: int | None) -> None:
    layer = Recurrent(cells.SLSTM(heads=2), 3, 16, dtype=dtype)
    initialize(layer, chrono=chrono)
    found = blocks(layer, "weight_hh_l0").double()
    torch.testing.assert_close(found @ found.transpose(1, 2), torch.eye(8).double().expand(8, 8, 8), rtol=0, atol=0.02)
    assert all(parameter.dtype == dtype and parameter.requires_grad for parameter in layer.parameters())


def test_without_biases() -> None:
    assert initialize(layer_of(cells.LSTM(), bias=False)).keys() == {"weight_ih_l0", "weight_hh_l0"}
    step = RecurrentCell(cells.MGU(), 3, 4, bias=False)
    assert initialize(step).keys() == {"weight_ih", "weight_hh"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("recurrent", value) for value in ("xavier_uniform", "", None)),
        *(("input", value) for value in ("identity", "kaiming", None)),
        *(("forget_bias", value) for value in (math.nan, math.inf, "1", None, True)),
        *(("chrono", value) for value in (2, 0, -5, 3.5, True, "600")),
        *(("module", value) for value in (nn.Linear(2, 2), nn.Sequential(), None, [nn.LSTM(2, 3)])),
    ],
)
def test_what_is_refused(name: str, value: Any) -> None:
    arguments: dict[str, Any] = {"module": recurra.LSTM(2, 3), name: value}
    with pytest.raises(ParameterError, match=rf"^{name}: expected "):
        initialize(**arguments)


@pytest.mark.parametrize("module", [recurra.RNN(2, 3), recurra.LSTM(2, 3, bias=False), Recurrent(cells.CfC(), 2, 3)])
def test_chrono_that_would_do_nothing_is_refused(module: nn.Module) -> None:
    before = copy.deepcopy(module.state_dict())
    with pytest.raises(ParameterError, match=r"^chrono: expected None,"):
        initialize(module, chrono=10)
    assert all(torch.equal(a, b) for a, b in zip(module.state_dict().values(), before.values(), strict=True))
    assert initialize(nn.ModuleList([module, recurra.GRU(3, 3)]), chrono=10)


def test_parametrized_layers_are_refused() -> None:
    module = nn.utils.parametrizations.weight_norm(nn.LSTM(2, 3), "weight_hh_l0")
    with pytest.raises(ParameterError, match=r"^module: expected .* parametrized, got '0'\. Init"):
        initialize(nn.Sequential(module))


def test_the_same_seed_gives_the_same_values() -> None:
    layer, found = layer_of(cells.GRU()), []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        initialize(layer, chrono=30)
        found.append({name: value.clone() for name, value in layer.state_dict().items()})
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])
    assert not any(torch.equal(found[0][name], found[2][name]) for name in found[0] if name != "bias_hh_l0")
