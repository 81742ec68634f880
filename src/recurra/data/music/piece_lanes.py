"""Steps of pieces in parallel lanes, and how far each piece is transposed in each epoch."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from recurra.data.batches.batch import WHOLE, Batch, Partition
from recurra.data.batches.ignored import is_ignored
from recurra.data.batches.lanes import Lanes

__all__ = ["PieceLanes"]


class PieceLanes:
    """Segments of pieces, in lanes of nearly equal length, in which each piece stays whole; see `Lanes`.

    A batch holds indices (B, T): 0 for what comes before every piece, and 1 + k for step k of all pieces one after the
    other. The input of a piece's first step is 0, that of any other the step before. At padding inputs are 0 and
    targets -100. A batch depends on its step (from 1) alone.

    Args:
        lengths: the steps of each piece.
        pitches: the lowest and the highest pitch of each piece; None for one without notes.
        range_of_pitches: the lowest and the highest pitch that a transposed piece may have.
        segment_length: T, the number of steps in a batch.
        batch_size: B, the number of lanes, over all processes.
        transposition: each epoch shifts each piece by a random number of semitones, from minus this to this, but not
            beyond `range_of_pitches`.
        seed: of the order and of the shifts.
        shuffle: whether each epoch has another order.
        partition: the part of the lanes that this process reads.

    Raises:
        ParameterError: a size is below 1, or there are no steps.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        pitches: Sequence[tuple[int, int] | None],
        range_of_pitches: tuple[int, int],
        segment_length: int,
        batch_size: int,
        *,
        transposition: int = 0,
        seed: int = 0,
        shuffle: bool = True,
        partition: Partition = WHOLE,
    ) -> None:
        ends = np.cumsum(lengths)
        steps = [torch.arange(end - length, end) for end, length in zip(ends.tolist(), lengths, strict=True)]
        inputs = [torch.cat([torch.zeros(1, dtype=torch.int64), 1 + one[:-1]])[: len(one)] for one in steps]
        targets = [1 + one for one in steps]
        self._lanes = Lanes.from_sequences(
            inputs, segment_length, batch_size, targets, seed=seed, shuffle=shuffle, partition=partition
        )
        of = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))
        self._piece_of = torch.cat([torch.zeros(1, dtype=torch.int64), of])
        low, high = range_of_pitches
        self._room = [
            (0, 0) if one is None else (-min(transposition, one[0] - low), min(transposition, high - one[1]))
            for one in pitches
        ]
        self._transposition, self._seed = transposition, seed

    @property
    def steps_per_epoch(self) -> int:
        """The number of batches in an epoch."""
        return self._lanes.steps_per_epoch

    def __call__(self, step: int) -> Batch:
        """The batch of a training step (from 1). Raises ParameterError: `step` is below 1."""
        return self._lanes(step)

    def shifts(self, step: int, target: Tensor) -> Tensor | None:
        """How many semitones upward the piece of each target of a step is shifted (B, T); None: none is."""
        if not self._transposition:
            return None
        generator = np.random.default_rng([self._seed, self._lanes.epoch_of(step)])
        shifts = torch.from_numpy(np.array([generator.integers(low, high + 1) for low, high in self._room]))
        return shifts[self._piece_of[target.masked_fill(is_ignored(target), 0)]]
