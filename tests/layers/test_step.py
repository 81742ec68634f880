"""The step modules: torch.nn's three, and one step of any cell."""

import inspect
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import covering
import recurra
from agreement import assert_agree, gradients
from every_cell import CELLS, MIXING, traits
from recurra import kernels
from recurra.cells import Cell
from recurra.errors import BackendError, ParameterError, ShapeError
from recurra.kernels import Masks

KINDS = ("RNNCell tanh", "RNNCell relu", "LSTMCell", "GRUCell")


def both(kind: str, *sizes: int, **options: Any) -> tuple[nn.Module, recurra.RecurrentCell]:
    name, *option = kind.split()
    if option:
        options["nonlinearity"] = option[0]
    theirs = getattr(nn, name)(*sizes, **options, dtype=torch.float64)
    ours = getattr(recurra, name)(*sizes, **options, dtype=torch.float64)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    return theirs, ours


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30)
@given(
    batch=st.one_of(st.none(), st.integers(1, 4)),
    input_size=st.integers(1, 5),
    hidden_size=st.sampled_from((1, 2, 5, 16, 17)),
    bias=st.booleans(),
    with_state=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_equal_to_torch(
    kind: str, batch: int | None, input_size: int, hidden_size: int, bias: bool, with_state: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    theirs, ours = both(kind, input_size, hidden_size, bias=bias)
    leading = () if batch is None else (batch,)
    x = torch.randn(*leading, input_size, dtype=torch.float64).requires_grad_()
    parts = 2 if kind == "LSTMCell" else 1
    state = [torch.randn(*leading, hidden_size, dtype=torch.float64).requires_grad_() for _ in range(parts)]
    wanted = [x, *state] if with_state else [x]
    hx: Any = None if not with_state else tuple(state) if parts == 2 else state[0]
    expected, actual = theirs(x, hx), ours(x, hx)
    assert_agree(actual, expected)
    assert_agree(
        gradients(actual, [*wanted, *ours.parameters()]),
        gradients(expected, [*wanted, *theirs.parameters()]),
    )


@pytest.mark.parametrize("zoneout", [0.0, 0.3])
def test_a_mask_passed_at_each_step_is_recurrent_dropout(zoneout: float) -> None:
    torch.manual_seed(0)
    layer = recurra.Recurrent(recurra.cells.GRU(), 3, 4, zoneout=zoneout).double().eval()
    cell = recurra.RecurrentCell(recurra.cells.GRU(), 3, 4, zoneout=zoneout).double().eval()
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.state_dict().items()})
    x, mask, state = (torch.randn(*shape).double() for shape in ((3, 2, 3), (2, 4), (2, 4)))
    kept = (torch.full((1, 1, 1), zoneout, dtype=torch.float64),) if zoneout else None
    _, (expected,) = kernels.run("reference", layer.cell, x, (state,), layer.weights_of(0), masks=Masks(mask, kept))
    h = state
    for step in x:
        h = cell(step, h, recurrent_mask=mask)
    # The output is carried as it is: the mask is for the recurrent weights alone.
    assert_agree(h, expected)
    assert_agree(cell(x[0, 0], state[0], recurrent_mask=mask[0]), cell(x[0], state, recurrent_mask=mask)[0])
    with pytest.raises(ShapeError, match="recurrent_mask"):
        cell(x[0], state, recurrent_mask=mask[:, :3])


def test_an_lstm_cell_unpacks() -> None:
    cell = recurra.LSTMCell(3, 4)
    h, c = cell(torch.randn(2, 3), (torch.randn(2, 4), torch.randn(2, 4)))
    assert h.shape == c.shape == (2, 4)
    assert not torch.equal(h, c)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bias", [True, False])
def test_the_same_seed_gives_the_same_weights(kind: str, bias: bool) -> None:
    name = kind.split()[0]
    made = []
    for package in (nn, recurra):
        torch.manual_seed(3)
        made.append(getattr(package, name)(4, 6, bias=bias).state_dict())
    assert made[0].keys() == made[1].keys()
    for key, value in made[0].items():
        assert torch.equal(value, made[1][key]), key


@pytest.mark.parametrize("name", ["RNNCell", "LSTMCell", "GRUCell"])
def test_constructor_is_torch_s(name: str) -> None:
    theirs = inspect.signature(getattr(nn, name)).parameters.values()
    ours = inspect.signature(getattr(recurra, name)).parameters.values()
    added = [("zoneout", 0.0), ("backend", "auto")]
    assert [(p.name, p.default) for p in ours] == [*((p.name, p.default) for p in theirs), *added]


@pytest.mark.parametrize("backend", MIXING)
def test_the_backend_asked_for_runs(backend: str) -> None:
    step = recurra.LSTMCell(3, 4, dtype=torch.float64, backend=backend)
    reference = recurra.LSTMCell(3, 4, dtype=torch.float64, backend="reference")
    reference.load_state_dict(step.state_dict(), strict=True)
    x = torch.randn(2, 3, dtype=torch.float64)
    assert_agree(step(x), reference(x))


def test_a_backend_that_cannot_serve_or_is_unknown_is_refused() -> None:
    with pytest.raises(BackendError, match=r"^backend 'aten' cannot serve: "):
        recurra.RecurrentCell(recurra.cells.MGU(), 3, 4, backend="aten")(torch.zeros(1, 3))
    with pytest.raises(ParameterError, match=r"^backend: expected one of .*got 'fastest'"):
        recurra.GRUCell(3, 4, backend="fastest")


@covering.parametrize({"cell": CELLS, "bias": [True, False]}, strength=1, traits={"cell": traits})
def test_any_cell_unbatched_and_from_zeros(cell: Cell, bias: bool) -> None:
    step = recurra.RecurrentCell(cell, 3, 4, bias=bias, dtype=torch.float64)
    x = torch.randn(3, dtype=torch.float64)
    zeros = [torch.zeros(1, 4, dtype=torch.float64) for _ in cell.state]
    batched = step(x.unsqueeze(0), zeros)
    alone = step(x)
    if len(cell.state) == 1:
        assert_agree(alone, batched[0])
    else:
        assert_agree(alone, tuple(part[0] for part in batched))


def test_repr_shows_what_is_not_the_default() -> None:
    assert repr(recurra.GRUCell(3, 5)) == "GRUCell(GRU(), 3, 5)"
    assert repr(recurra.GRUCell(3, 5, bias=False)) == "GRUCell(GRU(), 3, 5, bias=False)"
    assert repr(recurra.GRUCell(3, 5, backend="native")) == "GRUCell(GRU(), 3, 5, backend='native')"


@pytest.mark.parametrize("backend", ["auto", "reference"])
@pytest.mark.parametrize("training", [False, True])
def test_zoneout_is_the_layer_s(backend: str, training: bool) -> None:
    options: dict[str, Any] = {"zoneout": (0.4, 0.1), "backend": backend, "dtype": torch.float64}
    cell = recurra.RecurrentCell(recurra.cells.LSTM(), 3, 5, **options).train(training)
    layer = recurra.LSTM(3, 5, **options).train(training)
    layer.load_state_dict({f"{name}_l0": value for name, value in cell.state_dict().items()})
    x, hx = torch.randn(4, 3, dtype=torch.float64), tuple(torch.randn(2, 4, 5, dtype=torch.float64))
    torch.manual_seed(5)
    actual = cell(x, hx)
    torch.manual_seed(5)
    _, expected = layer(x.unsqueeze(0), tuple(part.unsqueeze(0) for part in hx))
    assert_agree(actual, tuple(part.squeeze(0) for part in expected))
    plain = recurra.RecurrentCell(recurra.cells.LSTM(), 3, 5, backend=backend, dtype=torch.float64)
    plain.load_state_dict(cell.state_dict())
    assert not torch.allclose(actual[0], plain(x, hx)[0])


def test_zoneout_of_a_step_is_checked_and_shown() -> None:
    with pytest.raises(ParameterError, match="zoneout"):
        recurra.RecurrentCell(recurra.cells.GRU(), 3, 5, zoneout=1.5)
    assert "zoneout=(0.5,)" in repr(recurra.RecurrentCell(recurra.cells.GRU(), 3, 5, zoneout=0.5))
