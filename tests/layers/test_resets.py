"""`resets`: a sequence with boundaries inside is its pieces run one by one, in values, final states and gradients."""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.utils.rnn import pack_sequence

import recurra
from agreement import assert_agree, gradients
from every_cell import KINDS_SERVED, fitting
from recurra import Recurrent, cells
from recurra.cells import Cell
from recurra.errors import ParameterError, ShapeError


@dataclass(frozen=True)
class Case:
    """Boundaries by lane, and how the layer is."""

    steps: int
    boundaries: tuple[frozenset[int], ...]
    lengths: tuple[int, ...] | None = None
    num_layers: int = 1
    bidirectional: bool = False
    batch_first: bool = False
    seed: int = 0

    @property
    def ends(self) -> tuple[int, ...]:
        return self.lengths or (self.steps,) * len(self.boundaries)

    def resets(self) -> Tensor:
        marks = torch.zeros(self.steps, len(self.boundaries), dtype=torch.bool)
        for lane, steps in enumerate(self.boundaries):
            marks[list(steps), lane] = True
        return marks


@st.composite
def cases(draw: st.DrawFn) -> Case:
    steps, batch = draw(st.integers(1, 9)), draw(st.integers(1, 4))
    lane = st.frozensets(st.integers(0, steps - 1), max_size=steps)
    length = st.one_of(st.sampled_from((0, 1, steps)), st.integers(0, steps))
    return Case(
        steps,
        tuple(draw(st.lists(lane, min_size=batch, max_size=batch))),
        draw(st.none() | st.lists(length, min_size=batch, max_size=batch).map(tuple)),
        num_layers=draw(st.integers(1, 2)),
        bidirectional=draw(st.booleans()),
        batch_first=draw(st.booleans()),
        seed=draw(st.integers(0, 2**16)),
    )


def as_parts(state: Any) -> tuple[Tensor, ...]:
    return state if isinstance(state, tuple) else (state,)


def as_state(parts: tuple[Tensor, ...]) -> Any:
    return parts[0] if len(parts) == 1 else parts


def piece_by_piece(layer: Recurrent, case: Case, x: Tensor, hx: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Output (T, B, ...) and final state by part, a piece at a time, from the boundaries as they are drawn."""
    behind = torch.arange(hx[0].shape[0]) % 2 == 1 if case.bidirectional else torch.zeros(hx[0].shape[0]).bool()
    outputs, finals = [], []
    for lane, (steps, end) in enumerate(zip(case.boundaries, case.ends, strict=True)):
        given_state = [part[:, lane : lane + 1] for part in hx]
        if not end:
            outputs.append(x.new_zeros(case.steps, 1, layer.output_size))
            finals.append(given_state)
            continue
        inside = sorted(t for t in steps if 0 < t < end)
        bounds = [0, *inside, end]
        output, final = [], []
        for k, (start, stop) in enumerate(pairwise(bounds)):
            ahead_enters, behind_enters = k == 0 and 0 not in steps, stop == end
            enters = torch.where(behind, torch.tensor(behind_enters), torch.tensor(ahead_enters))
            state = tuple(torch.where(enters[:, None, None], part, 0.0) for part in given_state)
            piece = x[start:stop, lane : lane + 1]
            result, last = layer(piece.transpose(0, 1) if case.batch_first else piece, as_state(state))
            output.append(result.transpose(0, 1) if case.batch_first else result)
            final.append(as_parts(last))
        outputs.append(torch.cat([*output, x.new_zeros(case.steps - end, 1, layer.output_size)]))
        finals.append([torch.where(behind[:, None, None], a, b) for a, b in zip(final[0], final[-1], strict=True)])
    return torch.cat(outputs, dim=1), *(torch.cat(part, dim=1) for part in zip(*finals, strict=True))


def assert_pieces(cell: Cell, backend: str, case: Case) -> None:
    torch.manual_seed(case.seed)
    batch, hidden = len(case.boundaries), fitting(cell, 4)
    options: dict[str, Any] = {"bidirectional": case.bidirectional, "batch_first": case.batch_first}
    layer = Recurrent(cell, 3, hidden, case.num_layers, **options, backend=backend, dtype=torch.float64)
    states = case.num_layers * (1 + case.bidirectional)
    hx = tuple(torch.randn(states, batch, hidden, dtype=torch.float64).requires_grad_() for _ in cell.state)
    values = torch.randn(case.steps, batch, 3, dtype=torch.float64)
    padding = torch.arange(case.steps).unsqueeze(1) >= torch.tensor(case.ends)
    x = values.masked_fill(padding.unsqueeze(2), float("nan")).requires_grad_()
    resets = case.resets()

    given_x, given_resets = (x.transpose(0, 1), resets.t()) if case.batch_first else (x, resets)
    output, final = layer(given_x, as_state(hx), case.lengths, given_resets)
    actual = (output.transpose(0, 1) if case.batch_first else output, *as_parts(final))
    expected = piece_by_piece(layer, case, x, hx)
    assert_agree(actual, expected)
    wanted = [x, *hx, *layer.parameters()]
    assert_agree(gradients(actual, wanted), gradients(expected, wanted))


EVERYTHING = Case(5, (frozenset({0, 2}), frozenset({4}), frozenset({1, 3}), frozenset({1})), (5, 5, 3, 0), 2, True)
MANY_SHORT_AND_ONE_LONG = Case(9, (frozenset(), *(frozenset(range(1, 9)),) * 3))


@pytest.mark.parametrize(("cell", "backend"), KINDS_SERVED, ids=str)
def test_a_sequence_with_boundaries_is_its_pieces(cell: Cell, backend: str) -> None:
    assert_pieces(cell, backend, EVERYTHING)


@pytest.mark.parametrize("cell", [cells.LSTM(), cells.MGU()], ids=str)
@settings(max_examples=25)
@example(case=MANY_SHORT_AND_ONE_LONG)
@given(case=cases())
def test_boundaries_anywhere(cell: Cell, case: Case) -> None:
    assert_pieces(cell, "auto", case)


def marks(steps: int, batch: int, *places: tuple[int, int]) -> Tensor:
    found = torch.zeros(steps, batch, dtype=torch.bool)
    for place in places:
        found[place] = True
    return found


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def test_nothing_crosses_a_boundary() -> None:
    layer = recurra.LSTM(3, 4, 2, dtype=torch.float64)
    x, hx = normal(6, 2, 3).requires_grad_(), [normal(2, 2, 4).requires_grad_() for _ in range(2)]
    output, final = layer(x, tuple(hx), resets=marks(6, 2, (3, 0), (0, 1)))
    of_x, *of_state = torch.autograd.grad(output[3:, 0].sum() + final[1][:, 0].sum(), [x, *hx], retain_graph=True)
    assert of_x[3:, 0].all()
    assert not of_x[:3].any()
    assert not torch.stack(of_state).any()
    of_x, *of_state = torch.autograd.grad(output.sum(), [x, *hx])
    assert of_x.all()
    # Lane 1 starts anew before its first step.
    assert torch.stack(of_state)[:, :, 0].all()
    assert not torch.stack(of_state)[:, :, 1].any()


def test_what_is_not_finite_stays_in_its_piece() -> None:
    layer = recurra.GRU(3, 4, bidirectional=True, dtype=torch.float64)
    x, resets = normal(6, 2, 3), marks(6, 2, (2, 0), (5, 0), (4, 1))
    spoilt = x.clone()
    spoilt[3, 0] = float("nan")
    spoilt.requires_grad_()
    output, _ = layer(spoilt, resets=resets)
    expected, _ = layer(x, resets=resets)
    whole = torch.ones(6, 2, dtype=torch.bool)
    whole[2:5, 0] = False
    assert_agree(output[whole], expected[whole])
    assert not output[2:5, 0].isfinite().all(dim=-1).any()
    (of_x,) = torch.autograd.grad(output[whole].sum(), spoilt)
    assert of_x[whole].isfinite().all()


@pytest.mark.parametrize("resets", [None, marks(5, 2)], ids=["none", "all false"])
def test_without_a_boundary_nothing_changes(resets: Tensor | None) -> None:
    layer = Recurrent(cells.LSTM(), 3, 4, 2, dropout=0.5, recurrent_dropout=0.5, zoneout=0.1, dtype=torch.float64)
    x = normal(5, 2, 3)
    found = []
    for arguments in ({}, {"resets": resets}):
        torch.manual_seed(3)
        found.append(layer(x, **arguments))
    assert all(torch.equal(a, b) for a, b in zip((found[0][0], *found[0][1]), (found[1][0], *found[1][1]), strict=True))
    assert layer(normal(0, 2, 3), resets=marks(0, 2))[0].shape == (0, 2, 4)
    assert layer(normal(5, 0, 3), resets=marks(5, 0))[0].shape == (5, 0, 4)


def test_one_sequence_without_a_batch() -> None:
    layer, x, hx = recurra.GRU(3, 4, dtype=torch.float64), normal(5, 3), normal(1, 4)
    resets = marks(5, 1, (2, 0))[:, 0]
    output, final = layer(x, hx, resets=resets)
    first, _ = layer(x[:2], hx)
    second, last = layer(x[2:])
    assert_agree((output, final), (torch.cat([first, second]), last))


@pytest.mark.parametrize("option", ["recurrent_dropout", "zoneout", "weight_dropout", "dropout"])
def test_options_that_draw(option: str) -> None:
    """A lane of pieces, all alike but in what is drawn: masks of sequences are drawn for each piece, weights' once."""
    options: dict[str, Any] = {option: 0.5, "variational": True, "num_layers": 2, "dtype": torch.float64}
    layer = Recurrent(cells.GRU(), 3, 40, **options)
    piece = normal(3, 1, 3)
    resets = marks(6, 1, (3, 0))
    first, second = layer(piece.repeat(2, 1, 1), resets=resets)[0].split(3)
    assert torch.allclose(first, second, rtol=0, atol=1e-12) == (option == "weight_dropout")
    layer.eval()
    assert_agree(layer(piece.repeat(2, 1, 1), resets=resets)[0], layer(piece)[0].repeat(2, 1, 1))


def test_one_mask_of_weights_however_many_runs() -> None:
    layer = Recurrent(cells.GRU(), 3, 40, weight_dropout=0.5, dtype=torch.float64)
    case = replace(MANY_SHORT_AND_ONE_LONG, boundaries=(frozenset(), *(frozenset(range(1, 9)),) * 20))
    x = normal(1, 1, 3).expand(9, 21, 3)
    output, _ = layer(x, normal(1, 1, 40).expand(1, 21, 40), resets=case.resets())
    assert_agree(output[0, 0], output[0, 1])
    assert_agree(output[1, 1], output[8, 20])


def test_recomputing() -> None:
    layer, x = recurra.Recurrent(cells.LSTM(), 3, 4, 2, bidirectional=True, dtype=torch.float64), normal(9, 2, 3)
    resets, wanted = marks(9, 2, (4, 0), (7, 1)), [x.requires_grad_(), *layer.parameters()]
    expected = layer(x, resets=resets)
    layer.recompute = True
    actual = layer(x, resets=resets)
    assert_agree((actual, gradients(actual, wanted)), (expected, gradients(expected, wanted)))


def test_of_an_accelerated_module() -> None:
    theirs = torch.nn.LSTM(3, 4, 2, bidirectional=True, dtype=torch.float64)
    ours = recurra.LSTM(3, 4, 2, bidirectional=True, dtype=torch.float64)
    ours.load_state_dict(theirs.state_dict())
    recurra.accelerate(theirs)
    x, resets = normal(6, 2, 3), marks(6, 2, (2, 0), (5, 1))
    assert_agree(theirs(x, resets=resets), ours(x, resets=resets))


def test_gradients_numerically() -> None:
    layer = recurra.GRU(2, 2, 2, bidirectional=True, dtype=torch.float64)
    x, hx = normal(4, 2, 2).requires_grad_(), normal(4, 2, 2).requires_grad_()
    resets = marks(4, 2, (2, 0), (0, 1), (3, 1))
    assert torch.autograd.gradcheck(lambda x, hx: layer(x, hx, [4, 3], resets), (x, hx))


@pytest.mark.parametrize(
    ("resets", "said"),
    [
        (torch.zeros(5, 2), r"^resets: expected a tensor of torch\.bool, got torch\.float32"),
        ([[True]], r"^resets: expected .* torch\.bool, got list"),
        (torch.zeros(2, 5).bool(), r"^resets: expected shape \(T, B\) = \(5, 2\), got \(2, 5\)"),
        (torch.zeros(5, 2, 1).bool(), r"^resets: expected shape \(T, B\) = \(5, 2\), got \(5, 2, 1\)"),
    ],
)
def test_what_does_not_fit_is_refused(resets: Any, said: str) -> None:
    with pytest.raises(ShapeError, match=said):
        recurra.GRU(3, 4)(torch.randn(5, 2, 3), resets=resets)


def test_what_does_not_fit_in_other_layouts_is_refused() -> None:
    x = torch.randn(2, 5, 3)
    with pytest.raises(ShapeError, match=r"^resets: expected shape \(B, T\) = \(2, 5\), got \(5, 2\)"):
        recurra.GRU(3, 4, batch_first=True)(x, resets=marks(5, 2))
    with pytest.raises(ShapeError, match=r"^resets: expected shape \(T,\) = \(5,\), got \(5, 1\)"):
        recurra.GRU(3, 4)(x[0], resets=marks(5, 1))
    with pytest.raises(ParameterError, match=r"^resets: expected None .* give"):
        recurra.GRU(3, 4)(pack_sequence([x[0]]), resets=marks(5, 1))
