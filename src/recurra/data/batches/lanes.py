"""Streams and sequences in parallel lanes that are read in segments: the batches of truncated BPTT."""

import heapq
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from recurra.data.batches.batch import WHOLE, Batch, Partition
from recurra.data.batches.ignored import ignored_value, is_ignored
from recurra.errors import ParameterError, ShapeError
from recurra.shapes import check_positive

__all__ = ["Lanes"]


class Lanes:
    """The batches of one stream or of sequences that are laid end to end: lanes(step) returns one segment.

    Row b of each batch is lane b. Each segment continues the segment of the previous step, and the carried state fits
    it. `Batch.resets` is true where the state must be reset: at the first step of each sequence and of each epoch. It
    is None if the batch has no such step. A batch depends on its step (from 1) alone.

    Inputs and targets are (B, T, ...). T is `segment_length`; the last segment of an epoch may be shorter. Lanes that
    end earlier are padded: inputs with 0, targets with -100, or with NaN if they are floating-point. Targets of bool
    and uint8 become int64, which can hold -100. `Batch.weight` is the number of steps whose target is not ignored.

    Use `from_stream` or `from_sequences` to create an object.
    """

    def __init__(
        self,
        inputs: Tensor,
        target: Tensor,
        pieces: np.ndarray,
        segment_length: int,
        batch_size: int,
        seed: int | None,
        partition: Partition,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_positive("segment_length", segment_length)
        check_positive("batch_size", batch_size)
        if batch_size % partition.count:
            raise ParameterError("batch_size", f"a multiple of the {partition.count} processes", batch_size)
        if not pieces[:, 1].any():
            raise ParameterError("inputs", "at least one step with a target", "none")
        self._inputs = inputs
        self._target = target
        self._dtype = dtype
        # (n, 2): the start of each piece in the inputs, and its number of steps. The longest comes first.
        self._pieces = pieces[pieces[:, 1] > 0]
        self._pieces = self._pieces[np.argsort(-self._pieces[:, 1], kind="stable")]
        self._segment_length = segment_length
        self._batch_size = batch_size
        self._seed = seed
        self._rows = partition.of(np.arange(batch_size))
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
        partition: Partition = WHOLE,
        dtype: torch.dtype | None = None,
    ) -> "Lanes":
        """Cut one long stream into lanes whose lengths differ by at most one step.

        Args:
            inputs: the stream (N, ...).
            segment_length: T, the number of steps in a batch.
            batch_size: B, the number of lanes, over all processes.
            target: the target of each step (N, ...). None: the next element of the inputs.
            partition: the part of the lanes that this process reads.
            dtype: of the inputs and targets of batches, such as int64 for ids that are stored in fewer bits. None: that
                of the stream.

        Raises:
            ParameterError: a size is below 1, `batch_size` is not a multiple of the number of processes, or the stream
                has no step with a target.
            ShapeError: inputs and target do not have the same length.
        """
        steps = _steps_with_target("inputs", inputs, target)
        check_positive("batch_size", batch_size)
        lengths = steps // batch_size + (np.arange(batch_size) < steps % batch_size)
        pieces = np.stack([np.cumsum(lengths) - lengths, lengths], axis=1)
        wanted = inputs[1:] if target is None else target
        return cls(inputs, wanted, pieces, segment_length, batch_size, None, partition, dtype)

    @classmethod
    def from_sequences(
        cls,
        inputs: Sequence[Tensor],
        segment_length: int,
        batch_size: int,
        target: Sequence[Tensor] | None = None,
        seed: int = 0,
        shuffle: bool = True,
        partition: Partition = WHOLE,
    ) -> "Lanes":
        """Lay sequences of any length into lanes of nearly equal length. Each sequence stays whole, in one lane.

        Args:
            inputs: the sequences, each (N_i, ...). Only N_i may differ.
            segment_length: T, the number of steps in a batch.
            batch_size: B, the number of lanes, over all processes.
            target: the targets of each sequence (N_i, ...). None: the next element of the same sequence; the last
                element has no target and is left out.
            seed: the seed of the order, which differs between epochs.
            shuffle: whether each epoch shuffles the lanes, the sequences within a lane, and the positions of sequences
                of equal length.
            partition: the part of the lanes that this process reads.

        Raises:
            ParameterError: a size is below 1, `batch_size` is not a multiple of the number of processes, or no sequence
                has a step with a target.
            ShapeError: the numbers of inputs and targets differ, or a target does not have its input's length.
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
        return cls(joined, wanted, pieces, segment_length, batch_size, seed if shuffle else None, partition)

    @property
    def batch_size(self) -> int:
        """B, the number of lanes over all processes."""
        return self._batch_size

    @property
    def segment_length(self) -> int:
        """T, the number of steps in a batch."""
        return self._segment_length

    @property
    def steps_per_epoch(self) -> int:
        """The number of batches in an epoch."""
        return -(-self._steps // self._segment_length)

    def epoch_of(self, step: int) -> int:
        """The epoch (from 0) of a step (from 1)."""
        return (step - 1) // self.steps_per_epoch

    def __call__(self, step: int) -> Batch:
        """The batch of a training step (from 1).

        Raises:
            ParameterError: `step` is below 1.
        """
        check_positive("step", step)
        epoch, segment = divmod(step - 1, self.steps_per_epoch)
        first = segment * self._segment_length
        at = np.arange(first, min(first + self._segment_length, self._steps))
        keys, pieces = self._lay(epoch)
        # The keys of all lanes form one sorted array. One search then finds the piece of every step.
        wanted = self._rows[:, None] * self._steps + at
        piece = np.searchsorted(keys, wanted, side="right") - 1
        within = wanted - keys[piece]
        padding = within >= pieces[piece, 1]
        resets = (within == 0) & ~padding | (at == 0)
        index = torch.from_numpy(np.where(padding, 0, pieces[piece, 0] + within))
        return self._batch(index, torch.from_numpy(padding), torch.from_numpy(resets))

    def _batch(self, index: Tensor, padding: Tensor, resets: Tensor) -> Batch:
        """The batch at these indices (B, T) of the joined sequences."""
        inputs, target = self._inputs[index], self._target[index]
        if self._dtype is not None:
            inputs, target = inputs.to(self._dtype), target.to(self._dtype)
        if target.dtype in (torch.bool, torch.uint8):
            target = target.long()
        if padding.any():
            inputs[padding] = 0
            target[padding] = ignored_value(target.dtype)
        counted = ~is_ignored(target)
        weight = counted.flatten(2).any(2).sum() if counted.dim() > 2 else counted.sum()
        return Batch(inputs, target, float(weight), resets.to(inputs.device) if resets.any() else None)

    def _lay(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """The key of the first step of each piece (n,), and the pieces (n, 2) in the order of the lanes."""
        if self._seed is None:
            epoch = 0
        if epoch not in self._laid:
            # The previous epoch stays cached: around its end, steps of both epochs may be requested in turn.
            self._laid = {cached_epoch: laid for cached_epoch, laid in self._laid.items() if cached_epoch == epoch - 1}
            self._laid[epoch] = self._lay_anew(epoch)
        return self._laid[epoch]

    def _lay_anew(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        pieces, lanes = self._pieces, self._lane_of
        if self._seed is None:
            # Without shuffling, pieces keep the order of their starts.
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
        # An empty piece comes first; it serves lanes without pieces.
        return np.concatenate([[0], keys]), np.concatenate([[[0, 0]], pieces])


def _balance(lengths: np.ndarray, lanes: int) -> np.ndarray:
    """The lane of each length (longest first): always the lane with the fewest steps so far (Graham 1969)."""
    heap = [(0, lane) for lane in range(lanes)]
    lane_of = np.empty(len(lengths), dtype=np.int64)
    for i, length in enumerate(lengths.tolist()):
        steps, lane = heap[0]
        lane_of[i] = lane
        heapq.heapreplace(heap, (steps + length, lane))
    return lane_of


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
