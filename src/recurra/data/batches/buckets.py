"""Batches of sequences of similar length, which need little padding."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from recurra.data.batches.batch import WHOLE, Partition
from recurra.errors import ParameterError
from recurra.shapes import check_positive

__all__ = ["Buckets", "collate"]


class Buckets:
    """The sequences of each batch: buckets(step) returns their indices. Each epoch contains each sequence once.

    The sequences are sorted by length and cut into buckets of several batches. In each epoch the sequences of a bucket
    are shuffled among its batches, and the batches are shuffled. Both orders are derived from the seed and the epoch,
    which makes the result a function of the step (from 1) alone. If the sequences do not fill the last batches, the
    batches of the last bucket, that of the shortest sequences, are made equally large.

    Each process reads every `partition.count`-th sequence of each batch. This part is empty if the batch has fewer
    sequences than there are processes. The caller must then pass a batch (of any sequence) with weight 0, because all
    processes must make the same number of steps.

    Args:
        lengths: the lengths of the sequences (N,), 0 or more.
        batch_size: the number of sequences in a batch, over all processes.
        tokens: the largest number of steps in a batch, padding included: B * max(lengths) <= tokens. Give exactly one
            of `batch_size` and `tokens`.
        seed: the seed of the order.
        shuffle: whether to shuffle. If false, each epoch begins with the longest sequences.
        bucket_size: the number of batches in a bucket. A larger bucket mixes sequences more and pads more. None: a
            twentieth of all batches, between 2 and 100.
        partition: the part of each batch that this process reads.
        short_first: whether the first epoch goes from the shortest sequences to the longest (SortaGrad, Amodei et al.
            2016), with or without `shuffle`.

    Raises:
        ParameterError: there are no sequences, a length is negative, both or neither of `batch_size` and `tokens` are
            set, `tokens` is less than the longest length, a batch has fewer sequences than there are processes, or a
            size is below 1.
    """

    def __init__(
        self,
        lengths: Sequence[int] | np.ndarray | Tensor,
        batch_size: int | None = None,
        tokens: int | None = None,
        seed: int = 0,
        shuffle: bool = True,
        bucket_size: int | None = None,
        partition: Partition = WHOLE,
        short_first: bool = False,
    ) -> None:
        self._lengths = np.asarray(lengths, dtype=np.int64)
        if self._lengths.ndim != 1 or not len(self._lengths) or self._lengths.min() < 0:
            raise ParameterError("lengths", "a whole number of at least 0 for each of one or more sequences", lengths)
        if (batch_size is None) == (tokens is None):
            raise ParameterError("batch_size", "it or tokens, and not both", (batch_size, tokens))
        longest = int(self._lengths.max())
        if batch_size is not None:
            check_positive("batch_size", batch_size)
            if batch_size < partition.count:
                raise ParameterError("batch_size", f"at least one for each of {partition.count} processes", batch_size)
        if tokens is not None:
            check_positive("tokens", tokens)
            if tokens < longest:
                raise ParameterError("tokens", f"at least the longest length, {longest}", tokens)
        check_positive("seed", seed, at_least=0)
        if bucket_size is not None:
            check_positive("bucket_size", bucket_size)
        self._seed = seed
        self._shuffle = shuffle
        self._partition = partition
        self._short_first = short_first
        self._sizes = self._cut(batch_size, tokens, bucket_size)
        self._dealt: tuple[int, list[np.ndarray]] | None = None

    @property
    def steps_per_epoch(self) -> int:
        """The number of batches in an epoch."""
        return sum(len(sizes) for sizes in self._sizes)

    @property
    def padding_fraction(self) -> float:
        """The fraction of padding among all steps of the first epoch, over all processes. Other epochs are similar."""
        batches = self._deal(0)
        padded = sum(len(batch) * int(self._lengths[batch].max()) for batch in batches)
        return 1 - int(self._lengths.sum()) / padded if padded else 0.0

    def epoch_of(self, step: int) -> int:
        """The epoch (from 0) of a step (from 1)."""
        return (step - 1) // self.steps_per_epoch

    def __call__(self, step: int) -> np.ndarray:
        """The indices (n,) of the sequences in this process's part of the batch.

        Args:
            step: the training step, from 1.

        Raises:
            ParameterError: `step` is below 1.
        """
        check_positive("step", step)
        epoch, position = divmod(step - 1, self.steps_per_epoch)
        if not self._shuffle:
            epoch = min(epoch, 1) if self._short_first else 0
        if self._dealt is None or self._dealt[0] != epoch:
            self._dealt = (epoch, self._deal(epoch))
        return self._partition.of(self._dealt[1][position])

    def _cut(self, batch_size: int | None, tokens: int | None, bucket_size: int | None) -> list[list[int]]:
        """The sizes of the batches of each bucket, from the longest sequences to the shortest."""
        ordered = np.sort(self._lengths)[::-1]
        if bucket_size is None:
            about = len(ordered) / batch_size if batch_size else int(ordered.sum()) / (tokens or 1)
            bucket_size = min(max(math.ceil(about / 20), 2), 100)
        sizes: list[list[int]] = []
        done = 0
        while done < len(ordered):
            # Each sequence of a bucket may be in any of its batches; the longest one limits the batch size.
            fitting = batch_size or (tokens or 1) // max(int(ordered[done]), 1)
            count = min(fitting * bucket_size, len(ordered) - done)
            batches = -(-count // fitting)
            sizes.append([count // batches + (i < count % batches) for i in range(batches)])
            done += count
        return sizes

    def _deal(self, epoch: int) -> list[np.ndarray]:
        """The batches of an epoch, over all processes."""
        if self._shuffle:
            generator = np.random.default_rng([self._seed, epoch])
            # Sequences of equal length are in random order: at a border between buckets they may be in either.
            ordered = np.lexsort((generator.random(len(self._lengths)), -self._lengths))
        else:
            generator = None
            ordered = np.argsort(-self._lengths, kind="stable")
        batches: list[np.ndarray] = []
        done = 0
        for sizes in self._sizes:
            bucket = ordered[done : done + sum(sizes)]
            done += len(bucket)
            if generator is not None:
                bucket = generator.permutation(bucket)
            batches += np.split(bucket, np.cumsum(sizes)[:-1])
        if self._short_first and epoch == 0:
            return batches[::-1]
        return batches if generator is None else [batches[i] for i in generator.permutation(len(batches))]


def collate(sequences: Sequence[Tensor], padding: float = 0.0) -> tuple[Tensor, Tensor]:
    """Stack sequences (T_b, ...) into one tensor (B, T, ...) with padding at their ends.

    Args:
        sequences: one or more tensors. Only T_b may differ.
        padding: the value of the padding. For targets, `recurra.data.batches.ignored.ignored_value` gives it.

    Returns:
        The padded tensor, and the lengths (B,) int64.
    """
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    return pad_sequence(list(sequences), batch_first=True, padding_value=padding), lengths
