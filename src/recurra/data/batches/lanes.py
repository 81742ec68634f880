"""Streams and sequences laid into parallel lanes, and read in segments: the batches of truncated BPTT."""

import heapq
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from recurra.data.batches.batch import WHOLE, Batch, Share
from recurra.data.batches.ignored import ignored_value, is_ignored
from recurra.errors import ParameterError, ShapeError
from recurra.shapes import check_positive

__all__ = ["Lanes"]


class Lanes:
    """The batches of a stream, or of sequences laid one after the other, cut into segments: batch(step).

    Row b of each batch is lane b, and each segment goes on where the one of the step before ended, so that the state
    carried from batch to batch is always the right one; `Batch.resets` says where it starts anew: at the first step of
    each sequence, and of an epoch. It is None for a batch without such a step. A batch is a function of its step (from
    1) alone, the same however often it is asked for.

    Inputs are (B, T, ...) and targets (B, T, ...), T being `segment_length`, but for the last segment of an epoch less
    where the lanes end there. Lanes that end earlier are padded: inputs by 0, targets by -100, or NaN where they are
    floating-point (bool and uint8 become int64, to hold it). `Batch.weight` is the number of steps whose target counts.

    Make one with `from_stream` or `from_sequences`.
    """

    def __init__(
        self,
        inputs: Tensor,
        target: Tensor,
        pieces: np.ndarray,
        segment_length: int,
        batch_size: int,
        seed: int | None,
        share: Share,
    ) -> None:
        check_positive("segment_length", segment_length)
        check_positive("batch_size", batch_size)
        if batch_size % share.count:
            raise ParameterError("batch_size", f"a multiple of the {share.count} processes", batch_size)
        if not pieces[:, 1].any():
            raise ParameterError("inputs", "at least one step with a target", "none")
        self._inputs = inputs
        self._target = target
        # Where each piece starts in the inputs, and its steps (n, 2), longest first.
        self._pieces = pieces[pieces[:, 1] > 0]
        self._pieces = self._pieces[np.argsort(-self._pieces[:, 1], kind="stable")]
        self._segment_length = segment_length
        self._batch_size = batch_size
        self._seed = seed
        self._rows = share.of(np.arange(batch_size))
        self._lane_of = _balance(self._pieces[:, 1], batch_size)
        self._steps = int(np.bincount(self._lane_of, self._pieces[:, 1]).max())
        self._laid: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    @classmethod
    def from_stream(
        cls,
        inputs: Tensor,
        segment_length: int,
        batch_size: int,
        target: Tensor | None = None,
        share: Share = WHOLE,
    ) -> "Lanes":
        """One long stream cut into lanes of equal length (or one step less).

        Args:
            inputs: (N, ...).
            segment_length: T, steps of a batch.
            batch_size: B, lanes, of all processes together.
            target: (N, ...), what belongs to each step; the next element of the inputs where None.
            share: of the lanes, this process's.

        Raises:
            ParameterError: for sizes below 1, a batch size that is no multiple of the processes, or no step.
            ShapeError: where target and inputs are not of one length.
        """
        steps = _steps_with_target("inputs", inputs, target)
        check_positive("batch_size", batch_size)
        lengths = steps // batch_size + (np.arange(batch_size) < steps % batch_size)
        pieces = np.stack([np.cumsum(lengths) - lengths, lengths], axis=1)
        return cls(inputs, inputs[1:] if target is None else target, pieces, segment_length, batch_size, None, share)

    @classmethod
    def from_sequences(
        cls,
        inputs: Sequence[Tensor],
        segment_length: int,
        batch_size: int,
        target: Sequence[Tensor] | None = None,
        seed: int = 0,
        shuffle: bool = True,
        share: Share = WHOLE,
    ) -> "Lanes":
        """Sequences of any length, each whole in one lane, in lanes of nearly the same length.

        Args:
            inputs: each (N_i, ...), alike but for N_i.
            segment_length: T, steps of a batch.
            batch_size: B, lanes, of all processes together.
            target: each (N_i, ...), what belongs to each step; the next element of the same sequence where None, so
                that the last has none and is left out.
            seed: of the order, which is another in each epoch.
            shuffle: whether the order within the lanes, the lanes, and which of equally long sequences is where are
                drawn anew for each epoch.
            share: of the lanes, this process's.

        Raises:
            ParameterError: for sizes below 1, a batch size that is no multiple of the processes, or no step.
            ShapeError: where a target is not as long as its inputs, or there are not as many.
        """
        check_positive("seed", seed, at_least=0)
        if not inputs:
            raise ParameterError("inputs", "at least one sequence", "none")
        if target is not None and len(target) != len(inputs):
            raise ShapeError("target", f"{len(inputs)} sequences, as the inputs have", len(target))
        steps = [
            _steps_with_target(f"inputs[{i}]", sequence, None if target is None else target[i])
            for i, sequence in enumerate(inputs)
        ]
        starts = np.cumsum([0] + [len(sequence) for sequence in inputs[:-1]])
        pieces = np.stack([starts, np.array(steps)], axis=1)
        joined = torch.cat(list(inputs))
        wanted = joined[1:] if target is None else torch.cat(list(target))
        return cls(joined, wanted, pieces, segment_length, batch_size, seed if shuffle else None, share)

    @property
    def batch_size(self) -> int:
        """B, of all processes together."""
        return self._batch_size

    @property
    def segment_length(self) -> int:
        """T, steps of a batch."""
        return self._segment_length

    @property
    def steps_per_epoch(self) -> int:
        """Batches in which everything is read once."""
        return -(-self._steps // self._segment_length)

    def epoch_of(self, step: int) -> int:
        """The epoch, from 0, of a step, from 1."""
        return (step - 1) // self.steps_per_epoch

    def __call__(self, step: int) -> Batch:
        """The batch of a step.

        Raises:
            ParameterError: for a step below 1.
        """
        check_positive("step", step)
        epoch, segment = divmod(step - 1, self.steps_per_epoch)
        first = segment * self._segment_length
        at = np.arange(first, min(first + self._segment_length, self._steps))
        keys, pieces = self._lay(epoch)
        # All lanes stand one after the other on one line of keys, so that one search finds every step's piece.
        wanted = self._rows[:, None] * self._steps + at
        found = np.searchsorted(keys, wanted, side="right") - 1
        within = wanted - keys[found]
        padding = within >= pieces[found, 1]
        resets = (within == 0) & ~padding | (at == 0)
        index = torch.from_numpy(np.where(padding, 0, pieces[found, 0] + within))
        return self._batch(index, torch.from_numpy(padding), torch.from_numpy(resets))

    def _batch(self, index: Tensor, padding: Tensor, resets: Tensor) -> Batch:
        """Inputs and targets at these places (B, T) of the joined sequences."""
        inputs, target = self._inputs[index], self._target[index]
        if target.dtype in (torch.bool, torch.uint8):
            target = target.long()
        if padding.any():
            inputs[padding] = 0
            target[padding] = ignored_value(target.dtype)
        counted = ~is_ignored(target)
        weight = counted.flatten(2).any(2).sum() if counted.dim() > 2 else counted.sum()
        return Batch(inputs, target, float(weight), resets.to(inputs.device) if resets.any() else None)

    def _lay(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """The pieces (n, 2) in the order of the lanes, and the key of the first step of each (n,)."""
        if self._seed is None:
            epoch = 0
        if epoch not in self._laid:
            # The one before is kept: with overlapping segments steps on both sides of its end are read in turn.
            self._laid = {number: laid for number, laid in self._laid.items() if number == epoch - 1}
            self._laid[epoch] = self._lay_anew(epoch)
        return self._laid[epoch]

    def _lay_anew(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        pieces, lanes = self._pieces, self._lane_of
        if self._seed is None:
            # In the order given: by their start.
            order = np.lexsort((pieces[:, 0], lanes))
        else:
            generator = np.random.default_rng([self._seed, epoch])
            pieces = pieces[np.lexsort((generator.random(len(pieces)), -pieces[:, 1]))]
            lanes = generator.permutation(self._batch_size)[lanes]
            order = np.lexsort((generator.random(len(pieces)), lanes))
        pieces, lanes = pieces[order], lanes[order]
        before = np.cumsum(pieces[:, 1]) - pieces[:, 1]
        first_of_lane = before[np.searchsorted(lanes, lanes)]
        keys = lanes * self._steps + before - first_of_lane
        # A piece of nothing before all others, for a lane without any.
        return np.concatenate([[0], keys]), np.concatenate([[[0, 0]], pieces])


def _balance(lengths: np.ndarray, lanes: int) -> np.ndarray:
    """A lane for each length, longest first: the one with the fewest steps so far (Graham 1969)."""
    heap = [(0, lane) for lane in range(lanes)]
    found = np.empty(len(lengths), dtype=np.int64)
    for i, length in enumerate(lengths.tolist()):
        steps, lane = heap[0]
        found[i] = lane
        heapq.heapreplace(heap, (steps + length, lane))
    return found


def _steps_with_target(name: str, inputs: Tensor, target: Tensor | None) -> int:
    if inputs.dim() == 0:
        raise ShapeError(name, "shape (N, ...)", "a number")
    if target is None:
        return max(len(inputs) - 1, 0)
    if target.dim() == 0 or len(target) != len(inputs):
        raise ShapeError(
            name.replace("inputs", "target"), f"{len(inputs)} steps, as the inputs have", tuple(target.shape)
        )
    return len(inputs)
