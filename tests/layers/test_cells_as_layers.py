"""Every kind of cell as a layer: its parameters, recurrent dropout, zoneout, and recomputing."""

from typing import Any

import pytest
import torch
from torch import Tensor

import covering
import recurra
from agreement import assert_agree, gradients, tensors
from every_cell import CELLS, KINDS, traits
from recurra import Recurrent, RecurrentCell, cells
from recurra.cells import Cell
from recurra.errors import ParameterError


def layer_of(cell: Cell, hidden: int = 4, **options: Any) -> Recurrent:
    return Recurrent(cell, 3, hidden, backend="reference", dtype=torch.float64, **options)


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def step_of(layer: Recurrent) -> RecurrentCell:
    """One step with the weights of the first layer."""
    step = RecurrentCell(layer.cell, layer.input_size, layer.hidden_size, layer.bias, dtype=torch.float64)
    step.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.state_dict().items()})
    return step


@pytest.mark.parametrize(
    ("cell", "options", "expected"),
    [
        (cells.Jordan(), {}, {"weight_hh": (4, 4), "bias_hh": (4,), "weight_hr": (4, 4), "bias_hr": (4,)}),
        (
            cells.Jordan(),
            {"proj_size": 6},
            {"weight_hh": (4, 6), "bias_hh": (4,), "weight_hr": (6, 4), "bias_hr": (6,)},
        ),
        (cells.IndRNN(), {}, {"weight_hh": (4, 1), "bias_hh": (4,)}),
        (cells.MGU(), {}, {"weight_hh": (8, 4), "bias_hh": (8,)}),
        (cells.SLSTM(heads=2), {}, {"weight_hh": (16, 2), "bias_hh": (16,)}),
        (cells.LayerNormGRU(), {}, {"weight_hh": (12, 4), "bias_hh": (12,), "norm_ih": (12,), "norm_hh": (12,)}),
        (cells.SRU(), {}, {"v_f": (4,), "v_r": (4,)}),
        (cells.TimedCfC(), {}, {"weight_hh": (16, 4), "bias_hh": (16,)}),
        (cells.TimeLSTM(), {}, {"weight_hh": (20, 4), "bias_hh": (20,)}),
        (cells.NBRC(), {}, {"weight_hh": (8, 4), "bias_hh": (8,)}),
        (cells.STAR(), {}, {"weight_hh": (4, 4), "bias_hh": (4,)}),
        (cells.CoRNN(), {}, {"weight_hh": (8, 4), "bias_hh": (8,)}),
        (
            cells.GRUD(),
            {"elapsed_size": 5},
            {"weight_hh": (12, 4), "bias_hh": (12,), "weight_eh": (4, 5), "bias_eh": (4,)},
        ),
        (
            cells.FastGRNN(),
            {},
            {"weight_hh": (4, 4), "bias_hh": (4,), "bias_z": (4,), "bias_h": (4,), "zeta": (1,), "nu": (1,)},
        ),
    ],
    ids=str,
)
@pytest.mark.parametrize("bias", [True, False])
def test_parameters(cell: Cell, options: Any, expected: dict[str, tuple[int, ...]], bias: bool) -> None:
    rows = len(cell.input_gates()) * 4
    everything = {"weight_ih": (rows, 3), "bias_ih": (rows,), **expected}
    wanted = {
        name: size for name, size in everything.items() if bias or not name.startswith("bias_") or name in cell.per_unit
    }
    layer = layer_of(cell, bias=bias, **options)
    found = {name.removesuffix("_l0"): tuple(value.shape) for name, value in layer.state_dict().items()}
    assert found == wanted
    if not options:
        assert {name: tuple(value.shape) for name, value in step_of(layer).state_dict().items()} == wanted


@pytest.mark.parametrize("cell", KINDS, ids=str)
def test_first_values(cell: Cell) -> None:
    layer = layer_of(cell, num_layers=2, bidirectional=True)
    for name, parameter in layer.named_parameters():
        plain = name.partition("_l0")[0].partition("_l1")[0]
        if plain.startswith("norm_"):
            assert (parameter == 1).all()
        elif plain not in cell.initial:
            assert 0 < parameter.abs().max() <= 0.5


@pytest.mark.parametrize("proj_size", [0, 2, 6])
def test_a_jordan_layer_is_of_the_size_of_its_output(proj_size: int) -> None:
    layer = layer_of(cells.Jordan(), num_layers=2, bidirectional=True, proj_size=proj_size)
    output, final = layer(normal(5, 2, 3))
    assert layer.output_size == output.shape[2] == 2 * (proj_size or 4)
    assert final.shape == (4, 2, proj_size or 4)
    assert_agree(layer(normal(0, 2, 3), final)[1], final)


@pytest.mark.parametrize("cell", [cells.MGU(), cells.GRUResetBefore(), cells.IndRNN(), cells.SLSTM(heads=2)], ids=str)
def test_no_projection_of_units_that_the_recurrent_weights_read_as_units(cell: Cell) -> None:
    with pytest.raises(ParameterError, match=r"^proj_size: expected 0, as "):
        layer_of(cell, proj_size=2)


def test_no_projection_of_a_layer_that_reads_its_output_as_units() -> None:
    for cell in (cells.MinGRU(), cells.LayerNormGRU(), cells.FastGRNN()):
        with pytest.raises(ParameterError, match=r"^proj_size: expected 0, as "):
            layer_of(cell, proj_size=2)


@pytest.mark.parametrize("cell", [cells.LayerNormLSTM(), cells.SRU(), cells.CfC()], ids=str)
def test_a_projection_where_the_equations_leave_the_output_alone(cell: Cell) -> None:
    output, _ = layer_of(cell, num_layers=2, proj_size=2)(normal(5, 2, 3))
    assert output.shape == (5, 2, 2)


# Zoneout


@covering.parametrize({"cell": CELLS, "training": [True, False]}, strength=1, traits={"cell": traits})
def test_zoneout_of_1_keeps_the_state_and_of_0_does_nothing(cell: Cell, training: bool) -> None:
    x, plain = normal(5, 2, 3), layer_of(cell)
    state = [normal(1, 2, 4) for _ in cell.state]
    hx: Any = tuple(state) if len(state) > 1 else state[0]
    results = {}
    for share in (0.0, 1.0):
        layer = layer_of(cell, zoneout=share).train(training)
        layer.load_state_dict(plain.state_dict())
        results[share] = layer(x, hx)
    assert_agree(results[0.0], plain(x, hx))
    assert_agree(results[1.0], (state[0].expand(5, 2, 4), hx))


@pytest.mark.parametrize("zoneout", [0.3, (0.25, 0.75)], ids=str)
def test_zoneout_s_expectation_when_not_training(zoneout: Any) -> None:
    layer = layer_of(cells.LSTM(), zoneout=zoneout).eval()
    share_h, share_c = zoneout if isinstance(zoneout, tuple) else (zoneout, zoneout)
    step, x = step_of(layer), normal(6, 2, 3)
    h = c = torch.zeros(2, 4, dtype=torch.float64)
    outputs = []
    for x_t in x:
        new_h, new_c = step(x_t, (h, c))
        h, c = share_h * h + (1 - share_h) * new_h, share_c * c + (1 - share_c) * new_c
        outputs.append(h)
    assert_agree(layer(x), (torch.stack(outputs), (h.unsqueeze(0), c.unsqueeze(0))))


def test_zoneout_while_training_keeps_a_share_of_the_units_anew_at_every_step() -> None:
    layer = layer_of(cells.GRU(), 40, zoneout=0.3)
    step, x, h = step_of(layer), normal(6, 50, 3), normal(50, 40)
    outputs, _ = layer(x, h.unsqueeze(0))
    masks = []
    for x_t, output in zip(x, outputs, strict=True):
        kept = (output - h).abs() < 1e-12
        assert_agree(output, torch.where(kept, h, step(x_t, h)))
        masks.append(kept)
        h = output
    kept = torch.stack(masks).double()
    assert abs(kept.mean() - 0.3) < 0.02
    assert kept.std(dim=0).mean() > 0.3  # other units at other steps


def test_zoneout_s_mean_while_training_is_its_expectation() -> None:
    layer = layer_of(cells.LSTM(), zoneout=(0.2, 0.6))
    x, state = normal(1, 1, 3).expand(1, 20000, 3), [normal(1, 1, 4).expand(1, 20000, 4) for _ in range(2)]
    drawn = layer(x, state)[1]
    expected = layer.eval()(x, state)[1]
    for a, b in zip(drawn, expected, strict=True):
        torch.testing.assert_close(a.mean(dim=1), b.mean(dim=1), rtol=0, atol=0.02)
        assert a.std(dim=1).min() > 0


@pytest.mark.parametrize("zoneout", [-0.1, 1.5, (0.1,), (0.1, 0.1, 0.1), (0.1, 2.0)], ids=str)
def test_zoneout_is_checked(zoneout: Any) -> None:
    with pytest.raises(ParameterError, match=r"^zoneout: expected "):
        layer_of(cells.LSTM(), zoneout=zoneout)


# Recurrent dropout


def carrying(cell: Cell, hidden: int, **options: Any) -> Recurrent:
    """A layer without input or biases, whose recurrent weights carry each unit to itself."""
    layer = layer_of(cell, hidden, bias=False, **options)
    with torch.no_grad():
        layer.weight_ih_l0.zero_()
        weight = layer.get_parameter("weight_hh_l0")
        weight.copy_(torch.ones_like(weight) if cell.recurrence == "diagonal" else torch.eye(hidden))
    return layer


@pytest.mark.parametrize("cell", [cells.Elman("relu"), cells.IndRNN()], ids=str)
def test_recurrent_dropout_drops_the_same_units_at_every_step(cell: Cell) -> None:
    layer = carrying(cell, 60, recurrent_dropout=0.25)
    x, ones = torch.zeros(8, 5, 3, dtype=torch.float64), torch.ones(1, 5, 60, dtype=torch.float64)
    outputs, _ = layer(x, ones)
    kept = outputs[0] != 0
    assert abs(kept.double().mean() - 0.75) < 0.08
    for t in range(8):
        assert_agree(outputs[t], kept.double() * (4 / 3) ** (t + 1))
    assert not torch.equal(kept[0], kept[1])
    assert not torch.equal(layer(x, ones)[0], outputs)
    assert_agree(layer.eval()(x, ones)[0], ones.expand(8, 5, 60))


def test_each_layer_and_direction_draws_its_own_recurrent_dropout() -> None:
    layer = layer_of(cells.Elman("relu"), 60, bidirectional=True, recurrent_dropout=0.5)
    ahead, behind = (f"weight_hh_l0{suffix}" for suffix in ("", "_reverse"))
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.get_parameter(ahead).copy_(torch.eye(60))
        layer.get_parameter(behind).copy_(torch.eye(60))
    _, final = layer(torch.zeros(3, 1, 3).double(), torch.ones(2, 1, 60).double())
    assert not torch.equal(final[0] != 0, final[1] != 0)


@pytest.mark.parametrize("cell", [cells.SRU(), cells.MinGRU(), cells.MinLSTM(), cells.RGLRU()], ids=str)
def test_no_recurrent_dropout_without_recurrent_weights(cell: Cell) -> None:
    with pytest.raises(ParameterError, match=r"^recurrent_dropout: expected 0, as "):
        layer_of(cell, recurrent_dropout=0.1)


# Recomputing


@covering.parametrize({"cell": CELLS, "lengths": [None, (7, 0, 3)]}, strength=1, traits={"cell": traits})
def test_recomputing_gives_the_same_gradients(cell: Cell, lengths: Any) -> None:
    options: dict[str, Any] = {"num_layers": 2, "bidirectional": True, "zoneout": 0.2}
    if cell.recurrence != "none":
        options["recurrent_dropout"] = 0.3
    kept, recomputed = layer_of(cell, **options), layer_of(cell, **options, recompute=True)
    recomputed.load_state_dict(kept.state_dict())
    x = normal(7, 3, 3).requires_grad_()
    found = []
    for layer in (kept, recomputed):
        torch.manual_seed(5)
        result = layer(x, lengths=lengths)
        found.append((tensors(result), gradients(result, [x, *layer.parameters()])))
    assert_agree(found[1], found[0])


def test_recomputing_holds_less() -> None:
    def saved(recompute: bool) -> int:
        layer, sizes = layer_of(cells.LSTM(), 8, recompute=recompute), []

        def pack(tensor: Tensor) -> Tensor:
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            layer(normal(100, 2, 3))
        return sum(sizes)

    assert saved(True) < saved(False) / 4


def test_recomputing_is_shown() -> None:
    shown = repr(recurra.Recurrent(cells.MGU(), 3, 4, zoneout=0.5, recompute=True))
    assert shown == "Recurrent(MGU(), 3, 4, zoneout=(0.5,), recompute=True)"
