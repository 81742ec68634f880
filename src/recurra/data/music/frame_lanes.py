"""Piano rolls in parallel lanes: the batches of truncated BPTT over pieces."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from recurra.data.batches.batch import WHOLE, Batch, Partition
from recurra.data.batches.ignored import is_ignored
from recurra.data.music.piece_lanes import PieceLanes

__all__ = ["FrameLanes"]


class FrameLanes:
    """Segments of piano rolls, in lanes of nearly equal length, in which each piece stays whole; see `PieceLanes`.

    The input of a piece's first frame is silence, that of any other the frame before. Inputs and targets are
    (B, T, N); at padding the inputs are 0 and the targets NaN. A batch depends on its step (from 1) alone.

    Args:
        rolls: the pieces, (T_i, N) of 0 and 1 each.
        segment_length: T, the number of steps in a batch.
        batch_size: B, the number of lanes, over all processes.
        transposition: each epoch shifts each piece by a random number of notes, from minus this to this, but not so far
            that a note is lost.
        seed: of the order and of the shifts.
        shuffle: whether each epoch has another order.
        device: where the pieces are, and the batches.
        partition: the part of the lanes that this process reads.

    Raises:
        ParameterError: a size is below 1, or there are no frames.
    """

    def __init__(
        self,
        rolls: Sequence[np.ndarray],
        segment_length: int,
        batch_size: int,
        *,
        transposition: int = 0,
        seed: int = 0,
        shuffle: bool = True,
        device: torch.device | None = None,
        partition: Partition = WHOLE,
    ) -> None:
        sounding = [np.flatnonzero(roll.any(0)) for roll in rolls]
        self._lanes = PieceLanes(
            [len(roll) for roll in rolls],
            [(int(notes[0]), int(notes[-1])) if len(notes) else None for notes in sounding],
            (0, rolls[0].shape[1] - 1),
            segment_length,
            batch_size,
            transposition=transposition,
            seed=seed,
            shuffle=shuffle,
            partition=partition,
        )
        # Index 0 is the silence before every piece.
        joined = torch.from_numpy(np.concatenate([np.zeros((1, rolls[0].shape[1]), np.uint8), *rolls]))
        self._frames = joined.to(torch.uint8).to(device or torch.device("cpu"))

    @property
    def steps_per_epoch(self) -> int:
        """The number of batches in an epoch."""
        return self._lanes.steps_per_epoch

    def __call__(self, step: int) -> Batch:
        """The batch of a training step (from 1). Raises ParameterError: `step` is below 1."""
        batch = self._lanes(step)
        padding = is_ignored(batch.target)
        inputs, target = self._at(batch.inputs), self._at(batch.target.masked_fill(padding, 0))
        if (shifts := self._lanes.shifts(step, batch.target)) is not None:
            inputs, target = _shifted(inputs, shifts), _shifted(target, shifts)
        target[padding] = float("nan")
        return Batch(inputs, target, batch.weight, batch.resets)

    def _at(self, index: Tensor) -> Tensor:
        return self._frames[index.to(self._frames.device)].float()


def _shifted(frames: Tensor, shifts: Tensor) -> Tensor:
    """Frames (B, T, N), each shifted upward by as many notes as `shifts` (B, T) says."""
    notes = torch.arange(frames.shape[-1])
    source = notes - shifts.unsqueeze(-1)
    inside = (source >= 0) & (source < len(notes))
    source, inside = source.clamp(0, len(notes) - 1).to(frames.device), inside.to(frames.device)
    return frames.gather(-1, source) * inside
