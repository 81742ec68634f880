"""The network unrolled through time, and the gradient that flows back along each of its edges."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from recurra.errors import ParameterError
from recurra.inspection.gradients import Loss, state_gradients
from recurra.inspection.record import Recording
from recurra.inspection.segment import Segment

__all__ = ["Edges", "UnrolledGradients", "UnrolledRow", "unrolled_gradients"]


@dataclass(frozen=True)
class UnrolledRow:
    """A layer in one direction, unrolled.

    Attributes:
        name: of its track.
        reverse: whether it runs from the last step to the first.
        through_time: (T,), what flows back into the state of each step from the next step of the recurrence.
        starts: the step at which each of its modules begins.
        modules: their names.
        first: the step at which it begins, where it comes after other rows.
    """

    name: str
    reverse: bool
    through_time: np.ndarray
    starts: tuple[int, ...]
    modules: tuple[str, ...]
    first: int = 0


@dataclass(frozen=True)
class Edges:
    """What flows back down between two rows, at each step.

    Attributes:
        upper: index of the row that it comes from; None for the loss, or whatever else reads the output.
        lower: index of the row that it flows into; None for the input.
        norms: (T,).
    """

    upper: int | None
    lower: int | None
    norms: np.ndarray

    @property
    def row(self) -> int:
        """Index of the row whose steps it has."""
        index = self.lower if self.upper is None else self.upper
        assert index is not None
        return index


@dataclass(frozen=True)
class UnrolledGradients:
    """Norms of gradients along all edges of the unrolled network, for one sequence.

    Attributes:
        rows: from the lowest layer up.
        edges: between rows.
        steps: T, from the first step of all rows to the last.
        sequence: which of the batch.
        loss: L, of all sequences.
    """

    rows: tuple[UnrolledRow, ...]
    edges: tuple[Edges, ...]
    steps: int
    sequence: int
    loss: float

    @property
    def largest(self) -> float:
        """The largest norm of all."""
        all_norms = [row.through_time for row in self.rows] + [edges.norms for edges in self.edges]
        return max(float(norms.max(initial=0.0)) for norms in all_norms)


def unrolled_gradients(
    recording: Recording,
    loss: Loss | None = None,
    steps: Sequence[int] | None = None,
    sequence: int = 0,
    follows: Sequence[str] = (),
) -> UnrolledGradients:
    """The norm of the gradient along each edge of the unrolled network, padding left out.

    Args:
        recording: of a module's run.
        loss: see `state_gradients`.
        steps: see `state_gradients`.
        sequence: which of the batch.
        follows: names of modules whose steps come after those of all others, as those of a decoder that attends to what
            an encoder read.

    Raises:
        ParameterError: if there is no such sequence, or nothing in it, or as in `state_gradients`.
    """
    gradients = state_gradients(recording, loss, steps)
    batch = gradients.tracks[0].through_time[0].shape[1]
    if not 0 <= sequence < batch:
        raise ParameterError("sequence", f"0 to {batch - 1}", sequence)
    valid = [track.valid[:, sequence].cpu().numpy() for track in recording.tracks]
    if not all(true.any() for true in valid):
        raise ParameterError("sequence", "one with steps in it", f"{sequence}, which is empty")
    before = [track.segments[0].module not in follows for track in recording.tracks]
    first = max((int(true.sum()) for true, early in zip(valid, before, strict=True) if early), default=0)
    rows, edges = [], []
    feeders = _feeders(recording)
    read: set[int] = set()
    for index, track in enumerate(gradients.tracks):
        here = valid[index]
        through = torch.cat([part[:, sequence] for part in track.through_time], dim=1)
        modules = tuple(segment.module for segment in track.track.segments)
        starts = tuple(int(here[:start].sum()) for start in track.track.starts)
        name, begins = track.track.name, 0 if before[index] else first
        rows.append(UnrolledRow(name, track.track.reverse, _norms(through)[here], starts, modules, begins))
        below = [gradient[sequence] for gradient in track.inputs]
        lowers = feeders[index]
        read |= {lower for lower, _ in lowers}
        for lower, columns in lowers or [(None, slice(None))]:
            edges.append(Edges(index, lower, np.array([float(g[columns].norm()) for g in below])[here]))
    for index, track in enumerate(gradients.tracks):
        if index not in read:
            edges.append(Edges(None, index, _norms(track.from_above[:, sequence])[valid[index]]))
    longest = max(row.first + len(row.through_time) for row in rows)
    return UnrolledGradients(tuple(rows), tuple(edges), longest, sequence, gradients.loss)


def _norms(gradient: Tensor) -> np.ndarray:
    return gradient.norm(dim=1).double().cpu().numpy()


def _feeders(recording: Recording) -> list[list[tuple[int, slice]]]:
    """Of each track, the tracks whose outputs are its inputs, and in which columns; empty if it reads others'."""
    tracks = recording.tracks
    feeders: list[list[tuple[int, slice]]] = []
    for upper, track in enumerate(tracks):
        lowers: list[tuple[int, slice]] = []
        for group in _outputs_read_together(recording):
            below = [tracks[index] for index in group]
            if upper in group or len(track.segments) != len(below[0].segments):
                continue
            if all(_reads(s, [t.segments[k] for t in below]) for k, s in enumerate(track.segments)):
                widths = np.cumsum([0, *(t.outputs[0].shape[1] for t in below)])
                lowers = [(index, slice(*widths[k : k + 2])) for k, index in enumerate(group)]
        feeders.append(lowers)
    return feeders


def _outputs_read_together(recording: Recording) -> list[list[int]]:
    """Indices of tracks that may be one layer's output: each alone, or its two directions side by side."""
    tracks = recording.tracks
    groups = [[index] for index in range(len(tracks))]
    for index, (one, other) in enumerate(pairwise(tracks)):
        a, b = one.segments[0], other.segments[0]
        if (a.module, a.layer) == (b.module, b.layer) and not a.reverse and b.reverse:
            groups.append([index, index + 1])
    return groups


def _reads(segment: Segment, below: list[Segment]) -> bool:
    """Whether what a segment read is what others gave, at every step."""
    if any(other.steps != segment.steps or other.index > segment.index for other in below):
        return False
    outputs = [torch.cat(parts, dim=1) for parts in zip(*(other.outputs for other in below), strict=True)]
    if outputs[0].shape != segment.inputs[0].shape:
        return False
    return all(torch.equal(a, b) for a, b in zip(outputs, segment.inputs, strict=True))
