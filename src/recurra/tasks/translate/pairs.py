"""Sentence pairs as the network reads them."""

import logging
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from recurra.data.batches.batch import WHOLE, Batch, Partition
from recurra.data.batches.buckets import Buckets, collate
from recurra.data.text.parallel import ParallelText
from recurra.data.text.subwords import Subwords
from recurra.errors import DataError
from recurra.tasks.translate.data import SentencePairs

__all__ = ["EncodedPairs", "Pairs", "TrainingBatches", "source_tensors", "split", "validation_batches"]

_log = logging.getLogger("recurra.translate")
_MOST_HELD_OUT = 1000


@dataclass(frozen=True)
class Pairs:
    """A batch of sentence pairs.

    Attributes:
        source: subwords, with an end (B, S).
        source_lengths: (B,), on the CPU.
        inputs: the target's subwords after a begin (B, T), what the decoder reads.
        lengths: of the inputs (B,), on the CPU.
    """

    source: Tensor
    source_lengths: Tensor
    inputs: Tensor
    lengths: Tensor

    def counted(self) -> Tensor:
        """Which steps of the inputs are true: bool (B, T)."""
        steps = torch.arange(self.inputs.shape[1], device=self.inputs.device)
        return steps < self.lengths.to(self.inputs.device).unsqueeze(1)

    def to(self, device: torch.device) -> "Pairs":
        return Pairs(self.source.to(device), self.source_lengths, self.inputs.to(device), self.lengths)


class EncodedPairs:
    """All sentence pairs in subwords.

    Args:
        text: sentence pairs.
        source: subwords of the source.
        target: subwords of the target.
    """

    def __init__(self, text: ParallelText, source: Subwords, target: Subwords) -> None:
        self._source = _Side.encode(text.source, source)
        self._target = _Side.encode(text.target, target)
        self._selected = np.arange(len(text))

    def __len__(self) -> int:
        return len(self._selected)

    @property
    def lengths(self) -> np.ndarray:
        """Of the longer side, begin or end included (N,)."""
        return 1 + np.maximum(self._source.lengths, self._target.lengths)[self._selected]

    def within(self, max_length: int) -> "EncodedPairs":
        """The pairs of which no side has more subwords than this."""
        fitting = copy(self)
        fitting._selected = self._selected[self.lengths <= max_length + 1]
        return fitting

    def fitting(self, max_length: int, name: str, purpose: str) -> "EncodedPairs":
        """As `within`; the log says how many pairs are left out.

        Args:
            max_length: the most subwords of a side.
            name: of the data, for messages.
            purpose: what the pairs are not used for, such as "trained on".

        Raises:
            DataError: every pair is longer.
        """
        fitting = self.within(max_length)
        left_out = len(self) - len(fitting)
        if left_out:
            _log.warning(
                "%s: %d of %d pairs are longer than max_length = %d subwords and are not %s",
                *(name, left_out, len(self), max_length, purpose),
            )
        if left_out and not len(fitting):
            raise DataError(f"{name}: every pair is longer than max_length = {max_length} subwords")
        return fitting

    def batch(self, indices: Sequence[int] | np.ndarray, device: torch.device) -> Batch:
        """The batch of some pairs; the target is what follows each true input (N,), and the weight is N."""
        begin, end = torch.tensor([Subwords.begin]), torch.tensor([Subwords.end])
        rows = self._selected[np.asarray(indices)].tolist()
        source, source_lengths = collate([torch.cat([self._source[row], end]) for row in rows], Subwords.padding)
        inputs, lengths = collate([torch.cat([begin, self._target[row]]) for row in rows], Subwords.padding)
        following = torch.cat([torch.cat([self._target[row], end]) for row in rows])
        pairs = Pairs(source, source_lengths, inputs, lengths)
        return Batch(pairs.to(device), following.to(device), len(following))

    def buckets(self, batch_tokens: int, seed: int, partition: Partition = WHOLE) -> Buckets:
        """Which pairs make the batch of a step."""
        return Buckets(self.lengths, tokens=batch_tokens, seed=seed, partition=partition)


@dataclass(frozen=True)
class TrainingBatches:
    """The batch of each step.

    Attributes:
        pairs: to train on.
        buckets: which of them make the batch of a step.
        device: of the batches.
    """

    pairs: EncodedPairs
    buckets: Buckets
    device: torch.device

    def __call__(self, step: int) -> Batch:
        indices = self.buckets(step)
        batch = self.pairs.batch(indices if len(indices) else [0], self.device)
        return batch if len(indices) else Batch(batch.inputs, batch.target, 0)


def validation_batches(pairs: EncodedPairs, size: int, device: torch.device, partition: Partition) -> Iterator[Batch]:
    """This process's part of the pairs, the longest first, in batches of `size` pairs."""
    mine = partition.of(np.argsort(-pairs.lengths, kind="stable"))
    return (pairs.batch(mine[start : start + size], device) for start in range(0, len(mine), size))


def split(data: SentencePairs) -> tuple[SentencePairs, SentencePairs]:
    """Hold out a twentieth of the pairs, up to 1,000.

    The same pairs are held out whatever the seed of the training: runs of different seeds then have one vocabulary and
    can be an ensemble.
    """
    pairs = data.filled(warn=True)
    order = np.random.default_rng(0).permutation(len(pairs))
    count = min(len(pairs) // 20, _MOST_HELD_OUT)
    parts = (pairs.take(np.sort(chosen).tolist()) for chosen in (order[count:], order[:count]))
    training, held = (SentencePairs(part, data.files) for part in parts)
    return training, held


@dataclass(frozen=True)
class _Side:
    """The sentences of one language: all subwords in one array, four bytes each, and where each sentence begins."""

    subwords: Tensor
    starts: np.ndarray

    @classmethod
    def encode(cls, lines: Sequence[str], subwords: Subwords) -> "_Side":
        encoded = [np.array(subwords.encode(line), dtype=np.int32) for line in lines]
        starts = np.cumsum([0, *map(len, encoded)])
        return cls(torch.from_numpy(np.concatenate([np.empty(0, np.int32), *encoded])), starts)

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.starts)

    def __getitem__(self, row: int) -> Tensor:
        return self.subwords[self.starts[row] : self.starts[row + 1]]


def source_tensors(sentences: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Source sentences in subwords, with an end each (B, S), and their lengths (B,) on the CPU."""
    ended = [torch.tensor([*sentence, Subwords.end]) for sentence in sentences]
    source, lengths = collate(ended, Subwords.padding)
    return source.to(device), lengths
