"""Dropout by sequence, between layers and as a module, and dropout of the recurrent weights."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import covering
import recurra
from agreement import assert_agree, gradients
from every_cell import CELLS, traits
from recurra import Recurrent, cells
from recurra.cells import Cell
from recurra.errors import ParameterError, ShapeError
from recurra.layers import VariationalDropout

WITHOUT_WEIGHTS = [cell for cell in CELLS if cell.recurrence == "none"]
WITH_WEIGHTS = [cell for cell in CELLS if cell.recurrence != "none"]


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


# Variational dropout as a module


@settings(max_examples=30)
@given(
    steps=st.integers(0, 5),
    batch=st.integers(0, 4),
    further=st.lists(st.integers(1, 3), min_size=1, max_size=2),
    batch_first=st.booleans(),
    p=st.sampled_from((0.0, 0.3, 1.0)),
)
def test_a_feature_is_dropped_at_all_steps_or_none(
    steps: int, batch: int, further: list[int], batch_first: bool, p: float
) -> None:
    shape = (batch, steps, *further) if batch_first else (steps, batch, *further)
    share = VariationalDropout(p, batch_first)(torch.ones(shape, dtype=torch.float64))
    assert share.shape == shape
    for one in share.unbind(1 if batch_first else 0):
        assert torch.equal(one, share.select(1 if batch_first else 0, 0))
    kept = share[share != 0]
    assert_agree(kept, torch.full_like(kept, 1 / (1 - p) if p < 1 else 1))


def test_masks_are_of_the_share_asked_for_and_differ_between_sequences() -> None:
    drop, x = VariationalDropout(0.25), torch.ones(3, 50, 40)
    kept = drop(x)[0] != 0
    assert abs(kept.double().mean() - 0.75) < 0.03
    assert not torch.equal(kept[0], kept[1])
    assert not torch.equal(drop(x)[0] != 0, kept)
    assert torch.equal(drop.eval()(x), x)


def test_one_sequence() -> None:
    x = torch.ones(7, 100)
    for batch_first in (False, True):
        share = VariationalDropout(0.5, batch_first)(x)
        assert torch.equal(share, share[:1].expand(7, 100))
        assert set(share[0].tolist()) == {0.0, 2.0}


def test_packed_sequences() -> None:
    lengths = torch.tensor([3, 5, 1])
    drop, packed = VariationalDropout(0.5), pack_padded_sequence(torch.ones(5, 3, 60), lengths, enforce_sorted=False)
    found, _ = pad_packed_sequence(drop(packed))
    for b, n in enumerate(lengths):
        assert torch.equal(found[:n, b], found[:1, b].expand(int(n), 60))
        assert set(found[0, b].tolist()) == {0.0, 2.0}
    assert not torch.equal(found[0, 0], found[0, 1])
    assert drop.eval()(packed) is packed


def test_gradients_are_scaled_as_the_values() -> None:
    x = normal(4, 2, 6).requires_grad_()
    output = VariationalDropout(0.5)(x)
    (gradient,) = torch.autograd.grad(output.sum(), x)
    assert_agree(gradient, (output / x).detach())


def test_what_the_module_refuses() -> None:
    with pytest.raises(ParameterError, match=r"^p: expected a number from 0 to 1, got 1\.5"):
        VariationalDropout(1.5)
    with pytest.raises(ShapeError, match=r"^input: expected at least 2 dimensions, got 1"):
        VariationalDropout()(torch.ones(3))
    assert repr(VariationalDropout(0.1, batch_first=True)) == "VariationalDropout(p=0.1, batch_first=True)"


# Between layers


def passing(num_layers: int, hidden: int, **options: Any) -> Recurrent:
    """A relu network whose every layer gives on what it reads, without memory."""
    layer = Recurrent(cells.Elman("relu"), hidden, hidden, num_layers, bias=False, **options)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            parameter.copy_(torch.eye(hidden) if name.startswith("weight_ih") else torch.zeros(hidden, hidden))
    return layer


@pytest.mark.parametrize("variational", [False, True])
def test_dropout_between_layers(variational: bool) -> None:
    layer, x = passing(3, 50, dropout=0.5, variational=variational), torch.ones(6, 4, 50)
    output, _ = layer(x)
    assert set(output.unique().tolist()) == {0.0, 4.0}
    assert abs((output != 0).double().mean() - 0.25) < 0.06
    assert torch.equal(output, output[:1].expand_as(output)) == variational
    assert not torch.equal(output[:, 0], output[:, 1])
    assert torch.equal(layer.eval()(x)[0], x)


def test_no_dropout_after_the_last_layer() -> None:
    x = torch.ones(6, 4, 50)
    assert torch.equal(passing(1, 50, dropout=0.5, variational=True)(x)[0], x)


# Of the recurrent weights


@covering.parametrize({"cell": WITH_WEIGHTS, "backend": ["reference", "auto"]}, strength=1, traits={"cell": traits})
def test_weight_dropout_is_a_layer_with_thinned_weights(cell: Cell, backend: str) -> None:
    options: dict[str, Any] = {"bidirectional": True, "backend": backend, "dtype": torch.float64}
    layer = Recurrent(cell, 3, 4, **options, weight_dropout=0.4)
    thinned = Recurrent(cell, 3, 4, **options)
    thinned.load_state_dict(layer.state_dict(), strict=True)
    x, names = normal(4, 2, 3), ["weight_hh_l0", "weight_hh_l0_reverse"]
    assert_agree(layer.eval()(x), thinned(x))
    layer.train()
    torch.manual_seed(8)
    actual = layer(x)
    torch.manual_seed(8)
    masks = [nn.functional.dropout(torch.ones_like(layer.get_parameter(name)), 0.4) for name in names]
    with torch.no_grad():
        for name, mask in zip(names, masks, strict=True):
            thinned.get_parameter(name).mul_(mask)
    expected = thinned(x)
    assert_agree(actual, expected)
    found = gradients(actual, layer.parameters())
    wanted = gradients(expected, thinned.parameters())
    by_name = {name: gradient for (name, _), gradient in zip(thinned.named_parameters(), wanted, strict=True)}
    for name, mask in zip(names, masks, strict=True):
        by_name[name] = by_name[name] * mask
    assert_agree(found, list(by_name.values()))


def test_weight_dropout_draws_once_a_call_for_each_layer() -> None:
    layer = Recurrent(cells.Elman("relu"), 3, 60, 2, weight_dropout=0.25)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            parameter.copy_(torch.eye(60) if name.startswith("weight_hh") else torch.zeros_like(parameter))
    x, ones = torch.zeros(4, 5, 3), torch.ones(2, 5, 60)
    final = layer(x, ones)[1]
    kept = final != 0
    assert torch.equal(kept, kept[:, :1].expand_as(kept))
    assert_agree(final[kept], torch.full_like(final[kept], (4 / 3) ** 4))
    assert not torch.equal(kept[0], kept[1])
    assert not torch.equal(layer(x, ones)[1] != 0, kept)


@pytest.mark.parametrize("cell", WITHOUT_WEIGHTS, ids=str)
def test_no_weight_dropout_without_recurrent_weights(cell: Cell) -> None:
    with pytest.raises(ParameterError, match=r"^weight_dropout: expected 0, as .* got 0\.1"):
        Recurrent(cell, 3, 4, weight_dropout=0.1)


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), True, "0.5"])
def test_weight_dropout_is_checked(value: Any) -> None:
    with pytest.raises(ParameterError, match=r"^weight_dropout: expected a number from 0 to 1"):
        Recurrent(cells.GRU(), 3, 4, weight_dropout=value)


def test_the_same_seed_gives_the_same_masks_and_repr_shows_the_options() -> None:
    layer = Recurrent(cells.GRU(), 3, 4, 2, dropout=0.2, weight_dropout=0.5, variational=True)
    x = torch.randn(5, 2, 3)
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(layer(x)[0])
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    options = "num_layers=2, dropout=0.2, weight_dropout=0.5, variational=True"
    assert repr(layer) == f"Recurrent(GRU(), 3, 4, {options})"
    assert layer.state_dict().keys() == recurra.GRU(3, 4, 2).state_dict().keys()
