"""Batches of sequences of like length, so that little is padded."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from recurra.data.batches.batch import WHOLE, Share
from recurra.errors import ParameterError
from recurra.shapes import check_positive

__all__ = ["Buckets", "collate"]


class Buckets:
    """Which sequences make the batch of a step: indices(step), each sequence once an epoch.

    Sorted by length, the sequences are cut into buckets of some batches each. In each epoch those of a bucket are
    dealt to its batches anew, and all batches come in a new order; both follow from the seed and the epoch, so that the
    answer is a function of the step (from 1) alone. Where the sequences do not fill the last batches, those of the
    bucket of the shortest are made equally large.

    Every process takes every `share.count`-th sequence of each batch. Its part may be empty where a batch has fewer
    sequences than there are processes; for the processes to make the same number of steps it then gives a batch (of any
    sequence) of weight 0.

    Args:
        lengths: of the sequences (N,), 0 or more.
        batch_size: sequences of a batch, of all processes together.
        tokens: steps of a batch, padding included, at most: B * max(lengths) <= tokens. Give one of the two.
        seed: of the order.
        shuffle: whether to shuffle; else the longest come first, in each epoch.
        bucket_size: batches of a bucket: with more, batches are of more random composition, and padding is more. None
            for a twentieth of all, from 2 to 100.
        share: of each batch, this process's.

    Raises:
        ParameterError: for no sequences, a negative length, both or none of `batch_size` and `tokens`, fewer tokens
            than the longest sequence has, fewer sequences a batch than processes, or a number below 1.
    """

    def __init__(
        self,
        lengths: Sequence[int] | np.ndarray | Tensor,
        batch_size: int | None = None,
        tokens: int | None = None,
        seed: int = 0,
        shuffle: bool = True,
        bucket_size: int | None = None,
        share: Share = WHOLE,
    ) -> None:
        self._lengths = np.asarray(lengths, dtype=np.int64)
        if self._lengths.ndim != 1 or not len(self._lengths) or self._lengths.min() < 0:
            raise ParameterError("lengths", "a whole number of at least 0 for each of one or more sequences", lengths)
        if (batch_size is None) == (tokens is None):
            raise ParameterError("batch_size", "it or tokens, and not both", (batch_size, tokens))
        longest = int(self._lengths.max())
        if batch_size is not None:
            check_positive("batch_size", batch_size)
            if batch_size < share.count:
                raise ParameterError("batch_size", f"at least one for each of {share.count} processes", batch_size)
        if tokens is not None:
            check_positive("tokens", tokens)
            if tokens < longest:
                raise ParameterError("tokens", f"at least the longest length, {longest}", tokens)
        check_positive("seed", seed, at_least=0)
        if bucket_size is not None:
            check_positive("bucket_size", bucket_size)
        self._seed = seed
        self._shuffle = shuffle
        self._share = share
        self._sizes = self._cut(batch_size, tokens, bucket_size)
        self._dealt: tuple[int, list[np.ndarray]] | None = None

    @property
    def steps_per_epoch(self) -> int:
        """Batches in which each sequence is once; the same in each epoch."""
        return sum(len(sizes) for sizes in self._sizes)

    @property
    def padding_share(self) -> float:
        """Padded steps over all steps of the batches of the first epoch, whole ones; others are much alike."""
        batches = self._deal(0)
        padded = sum(len(batch) * int(self._lengths[batch].max()) for batch in batches)
        return 1 - int(self._lengths.sum()) / padded if padded else 0.0

    def epoch_of(self, step: int) -> int:
        """The epoch, from 0, of a step, from 1."""
        return (step - 1) // self.steps_per_epoch

    def __call__(self, step: int) -> np.ndarray:
        """The indices (n,) of the sequences of this process's part of the batch of a step.

        Raises:
            ParameterError: for a step below 1.
        """
        check_positive("step", step)
        epoch, position = divmod(step - 1, self.steps_per_epoch)
        if not self._shuffle:
            epoch = 0
        if self._dealt is None or self._dealt[0] != epoch:
            self._dealt = (epoch, self._deal(epoch))
        return self._share.of(self._dealt[1][position])

    def _cut(self, batch_size: int | None, tokens: int | None, bucket_size: int | None) -> list[list[int]]:
        """The sizes of the batches of each bucket, from the longest sequences to the shortest."""
        ordered = np.sort(self._lengths)[::-1]
        if bucket_size is None:
            about = len(ordered) / batch_size if batch_size else int(ordered.sum()) / (tokens or 1)
            bucket_size = min(max(math.ceil(about / 20), 2), 100)
        sizes: list[list[int]] = []
        done = 0
        while done < len(ordered):
            # Any of a bucket may be in any of its batches: its longest says how many fit.
            fitting = batch_size or (tokens or 1) // max(int(ordered[done]), 1)
            count = min(fitting * bucket_size, len(ordered) - done)
            batches = -(-count // fitting)
            sizes.append([count // batches + (i < count % batches) for i in range(batches)])
            done += count
        return sizes

    def _deal(self, epoch: int) -> list[np.ndarray]:
        """The batches of an epoch, of all processes together."""
        if self._shuffle:
            generator = np.random.default_rng([self._seed, epoch])
            # Equally long ones in any order: at the border of two buckets they may be in either.
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
        return batches if generator is None else [batches[i] for i in generator.permutation(len(batches))]


def collate(sequences: Sequence[Tensor], padding: float = 0.0) -> tuple[Tensor, Tensor]:
    """Sequences (T_b, ...) as one tensor (B, T, ...), padded at their ends, and their lengths (B,).

    Args:
        sequences: one or more, alike but for T_b.
        padding: its value; `recurra.data.batches.ignored.ignored_value` for targets.
    """
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    return pad_sequence(list(sequences), batch_first=True, padding_value=padding), lengths
