"""Events in parallel lanes: the batches of truncated BPTT over pieces."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from recurra.data.batches.batch import WHOLE, Batch, Partition
from recurra.data.batches.ignored import is_ignored
from recurra.data.music.events import EventVocabulary
from recurra.data.music.piece_lanes import PieceLanes

__all__ = ["EventLanes"]


class EventLanes:
    """Segments of the events of pieces, in lanes of nearly equal length, in which each piece stays whole.

    The input of a piece's first event is the end, that of any other the event before. Inputs and targets are (B, T) of
    tokens; at padding inputs are the end and targets -100. A batch depends on its step (from 1) alone.

    Args:
        vocabulary: of the events.
        pieces: the tokens of each piece (N_i,).
        segment_length: T, the number of steps in a batch.
        batch_size: B, the number of lanes, over all processes.
        transposition: each epoch shifts each piece by a random number of semitones, from minus this to this, but not so
            far that a note is lost.
        seed: of the order and of the shifts.
        shuffle: whether each epoch has another order.
        device: where the pieces are, and the batches.
        partition: the part of the lanes that this process reads.

    Raises:
        ParameterError: a size is below 1, or there are no events.
    """

    def __init__(
        self,
        vocabulary: EventVocabulary,
        pieces: Sequence[np.ndarray],
        segment_length: int,
        batch_size: int,
        *,
        transposition: int = 0,
        seed: int = 0,
        shuffle: bool = True,
        device: torch.device | None = None,
        partition: Partition = WHOLE,
    ) -> None:
        pitches = vocabulary.tokens_of["pitch"]
        self._lowest, self._highest = pitches.start, pitches.stop - 1
        sung = [tokens[(tokens >= self._lowest) & (tokens <= self._highest)] for tokens in pieces]
        self._lanes = PieceLanes(
            [len(tokens) for tokens in pieces],
            [(int(one.min()), int(one.max())) if len(one) else None for one in sung],
            (self._lowest, self._highest),
            segment_length,
            batch_size,
            transposition=transposition,
            seed=seed,
            shuffle=shuffle,
            partition=partition,
        )
        joined = np.concatenate([[vocabulary.token("end")], *pieces]).astype(np.int64)
        self._tokens = torch.from_numpy(joined).to(device or torch.device("cpu"))

    @property
    def steps_per_epoch(self) -> int:
        """The number of batches in an epoch."""
        return self._lanes.steps_per_epoch

    def __call__(self, step: int) -> Batch:
        """The batch of a training step (from 1). Raises ParameterError: `step` is below 1."""
        batch = self._lanes(step)
        device = self._tokens.device
        padding = is_ignored(batch.target)
        inputs = self._tokens[batch.inputs.to(device)]
        target = self._tokens[batch.target.masked_fill(padding, 0).to(device)]
        if (shifts := self._lanes.shifts(step, batch.target)) is not None:
            shifts = shifts.to(device)
            inputs, target = self._shifted(inputs, shifts), self._shifted(target, shifts)
        return Batch(inputs, target.masked_fill(padding.to(device), -100), batch.weight, batch.resets)

    def _shifted(self, tokens: Tensor, shifts: Tensor) -> Tensor:
        """Tokens (B, T), the pitches of which are shifted upward."""
        pitches = (tokens >= self._lowest) & (tokens <= self._highest)
        return torch.where(pitches, tokens + shifts, tokens)
