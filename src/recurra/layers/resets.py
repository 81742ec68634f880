"""Boundaries inside a sequence, at which the state starts again: lanes are cut into pieces, run as a ragged batch."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from recurra.errors import ShapeError
from recurra.shapes import check_shape

__all__ = ["check_resets", "run_pieces"]

_PADDING = 4  # pieces run together while all steps are at most so many times the valid ones


def check_resets(resets: Tensor, expected: Sequence[int], letters: str) -> Tensor:
    """The resets, refused if they are not booleans of the expected shape.

    Raises:
        ShapeError: naming the shape expected in letters and numbers.
    """
    if not isinstance(resets, Tensor) or resets.dtype != torch.bool:
        actual = resets.dtype if isinstance(resets, Tensor) else type(resets).__name__
        raise ShapeError("resets", "a tensor of torch.bool", actual)
    check_shape("resets", resets, expected, letters)
    return resets


def run_pieces(
    run: Callable[[Tensor, list[Tensor], Tensor | None], tuple[Tensor, list[Tensor]]],
    x: Tensor,
    state: list[Tensor],
    lengths: Tensor | None,
    resets: Tensor,
    directions: int,
) -> tuple[Tensor, list[Tensor]]:
    """Run a stack of layers over sequences whose state starts again at boundaries.

    Args:
        run: the stack: from x (T, B, I), the state by part (D * L, B, H) and lengths (B,), or None if all are T, to
            the output (T, B, R) and the final state by part. Each may have more dimensions, those of maps, at its end.
        x: (T, B, I).
        state: the initial state by part (D * L, B, H).
        lengths: (B,) int64 on the CPU. If None, all are T.
        resets: (T, B) bool, true: a boundary is before the step.
        directions: D.

    Returns:
        The results of `run`.
    """
    steps, batch = resets.shape
    pieces = _cut(resets.cpu(), lengths)
    initial = [_entering(part, pieces, directions) for part in state]
    rows = x.flatten(0, 1)
    groups, indices, outputs, finals = [], [], [], []
    for group in _groups(pieces.lengths):
        own, longest = pieces.lengths[group], int(pieces.lengths[group].max())
        time = torch.arange(longest).unsqueeze(1)
        valid = time < own
        index = ((pieces.starts[group] + time) * batch + pieces.lanes[group])[valid].to(x.device)
        into = valid.flatten().nonzero().squeeze(1).to(x.device)
        # Copied to zeros: padding must not hold the steps of another piece.
        padded = rows.new_zeros(valid.numel(), *rows.shape[1:]).index_copy(0, into, rows.index_select(0, index))
        chosen = group.to(x.device)
        output, final = run(
            padded.unflatten(0, valid.shape), [part.index_select(1, chosen) for part in initial], _unless_equal(own)
        )
        groups.append(group)
        indices.append(index)
        outputs.append(output.flatten(0, 1).index_select(0, into))
        finals.append(final)
    packed = torch.cat(outputs)
    output = packed.new_zeros(steps * batch, *packed.shape[1:]).index_copy(0, torch.cat(indices), packed)
    order = torch.argsort(torch.cat(groups)).to(x.device)
    by_piece = [torch.cat(part, dim=1).index_select(1, order) for part in zip(*finals, strict=True)]
    return output.unflatten(0, (steps, batch)), [_leaving(part, pieces, directions) for part in by_piece]


class _Pieces(NamedTuple):
    """The P pieces of all lanes, lane after lane; on the CPU.

    Attributes:
        lanes: (P,), the lane of each.
        starts: (P,), its first step there.
        lengths: (P,), its steps, 0 only in a lane of length 0.
        first: (B,), the first piece of each lane.
        last: (B,), the last.
        restarts: (B,), whether a boundary is before the first step of the lane.
    """

    lanes: Tensor
    starts: Tensor
    lengths: Tensor
    first: Tensor
    last: Tensor
    restarts: Tensor


def _cut(resets: Tensor, lengths: Tensor | None) -> _Pieces:
    steps, batch = resets.shape
    ends = torch.full((batch,), steps) if lengths is None else lengths
    begins = resets & (torch.arange(steps).unsqueeze(1) < ends)
    restarts = begins[0].clone()
    begins[0] = True
    lanes, starts = begins.t().nonzero(as_tuple=True)
    counts = begins.sum(dim=0)
    last = counts.cumsum(0) - 1
    stops = starts.roll(-1)
    stops[last] = ends
    return _Pieces(lanes, starts, stops - starts, last - counts + 1, last, restarts)


def _groups(lengths: Tensor) -> Iterator[Tensor]:
    """The pieces to run together, of similar lengths: one long piece does not pad a thousand short ones."""
    rest = torch.arange(len(lengths))
    while len(rest):
        own = lengths[rest]
        longest = own.max()
        together = own * _PADDING > longest
        if longest * len(rest) <= _PADDING * own.sum():
            together = torch.ones_like(together)
        yield rest[together]
        rest = rest[~together]


def _unless_equal(lengths: Tensor) -> Tensor | None:
    return None if bool((lengths == lengths[0]).all()) else lengths


def _entering(part: Tensor, pieces: _Pieces, directions: int) -> Tensor:
    """The initial state of each piece, (D * L, P, H) of (D * L, B, H): zeros unless a direction enters there."""
    restarts = torch.ones(directions, len(pieces.lanes), dtype=torch.bool)
    restarts[0, pieces.first] = pieces.restarts
    restarts[1:, pieces.last] = False
    restarts = _like(restarts.repeat(part.shape[0] // directions, 1).to(part.device), part)
    return part.index_select(1, pieces.lanes.to(part.device)).masked_fill(restarts, 0)


def _leaving(part: Tensor, pieces: _Pieces, directions: int) -> Tensor:
    """The final state of each lane, (D * L, B, H) of (D * L, P, H): the state with which a direction leaves it."""
    left = torch.stack([pieces.last, pieces.first][:directions])
    left = _like(left.repeat(part.shape[0] // directions, 1).to(part.device), part)
    return part.gather(1, left.expand(-1, -1, *part.shape[2:]))


def _like(values: Tensor, part: Tensor) -> Tensor:
    """Values (D * L, B) with as many dimensions as a part of the state."""
    return values.reshape(*values.shape, *[1] * (part.dim() - 2))
