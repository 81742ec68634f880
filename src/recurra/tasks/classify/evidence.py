"""What words, and pairs of words, say of labels by counting: the log-odds of naive Bayes, for a network to read.

A small data set has most words a few times. A network that has to learn from scratch which of them speak for a label
does worse than counting does; one that reads the counts learns what order makes of them, such as "not bad".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

__all__ = ["MOST_LABELS", "Evidence", "SampledEvidence", "WordCounts", "evidence_ids"]

MOST_LABELS = 32
"""With more labels the network would read more evidence than words: it then reads none."""

_KINDS = 2  # words, and pairs of a word and the one before it
_FEWEST = 2  # items that have a pair
_SMOOTHING = 2.0  # items, of labels as all have them, that each word and pair is seen in beside those counted
_SEED = 0x45564944  # tells these random numbers from others of the same seed


class WordCounts(Protocol):
    """What gives evidence for the ids of a batch."""

    def values(self, ids: Tensor) -> Tensor:
        """The evidence (B, T, 2 K) float32 of ids (B, T, 2), 0 for the id 0; see `Evidence`."""
        ...


@dataclass(frozen=True)
class Evidence:
    """How many training items have each word or pair of words, with each label.

    The evidence of a word w for the label k is half of log p(w | k) / p(w | not k), smoothed (Wang and Manning 2012,
    section 2.1, for each label against all others): of two labels the sum over the words of a text, once for each
    label, differs by the log-odds of naive Bayes.

    Attributes:
        pairs: codes (P,) int64 of pairs that at least two items have, increasing: V times the first word plus the
            second.
        counts: items (V + P, K + 1) float32 that have the word or pair: with each label, then all.
        items: (K + 1,) float32, with each label, then all.
    """

    pairs: Tensor
    counts: Tensor
    items: Tensor

    @classmethod
    def of(cls, words: Sequence[np.ndarray], num_words: int, target: Tensor, num_labels: int) -> "Evidence":
        """Count.

        Args:
            words: the ids of each item's words, 0 for an unknown one.
            num_words: V.
            target: the labels of the items, (N,) or (N, K); see `LabelSet.encode`.
            num_labels: K.
        """
        codes = np.concatenate([np.unique(one[one > 0]) for one in (_codes(one, num_words) for one in words)])
        found, counts = np.unique(codes, return_counts=True)
        pairs = torch.from_numpy(found[counts >= _FEWEST])
        one_hot = _one_hot(target, num_labels)
        ids = [_distinct(evidence_ids(one, num_words, pairs)) for one in words]
        table = _count(ids, one_hot, num_words + len(pairs))
        return cls(pairs, table, one_hot.sum(0))

    @property
    def size(self) -> int:
        """Values of a step, 2 K."""
        return _KINDS * (len(self.items) - 1)

    @property
    def num_words(self) -> int:
        """V."""
        return len(self.counts) - len(self.pairs)

    def ids(self, words: np.ndarray) -> np.ndarray:
        """The ids (T, 2) of the words of a text, and of the pairs that they make with the words before them."""
        return evidence_ids(words, self.num_words, self.pairs)

    def values(self, ids: Tensor) -> Tensor:
        """The evidence (B, T, 2 K) of ids (B, T, 2), 0 for the id 0: of words for each label, then of pairs."""
        return _log_odds(self.counts[ids], self.items, ids)


class SampledEvidence:
    """Evidence for training: that of a random half of all items, anew in each epoch, and never of the item itself.

    What an item adds to the counts would give its label away. Leaving it out alone does too, the other way round: a
    word's counts would be less by one for just the item's own label. The random half hides that.

    Args:
        evidence: of all items.
        ids: (T, 2) of each item, from `Evidence.ids`.
        target: the labels of the items, (N,) or (N, K).
        seed: of the random halves.
    """

    def __init__(self, evidence: Evidence, ids: Sequence[np.ndarray], target: Tensor, seed: int) -> None:
        self._size = len(evidence.counts)
        self._ids = [_distinct(one) for one in ids]
        self._one_hot = _one_hot(target, len(evidence.items) - 1)
        self._seed = seed
        self._epoch = -1

    def of(self, indices: np.ndarray, epoch: int) -> WordCounts:
        """What gives evidence for the items (B,) in an epoch, from 0: a function of its arguments and the seed."""
        if epoch != self._epoch:
            generator = np.random.default_rng((_SEED, self._seed, epoch))
            self._counted = torch.from_numpy(generator.random(len(self._ids)) < 0.5)
            rows = self._counted.nonzero().squeeze(1)
            self._items = self._one_hot[rows].sum(0)
            self._counts = _count([self._ids[k] for k in rows.tolist()], self._one_hot[rows], self._size)
            self._epoch = epoch
        places = torch.from_numpy(indices)
        own = self._one_hot[places] * self._counted[places].unsqueeze(1)
        return _Without(self._counts, self._items, own)


@dataclass(frozen=True)
class _Without:
    """Counts of which each item of a batch is left out; `own` (B, K + 1) is what it added."""

    counts: Tensor
    items: Tensor
    own: Tensor

    def values(self, ids: Tensor) -> Tensor:
        own = self.own[:, None, None]
        # The id 0, which is never counted, has nothing to leave out.
        return _log_odds((self.counts[ids] - own).clamp(min=0), self.items - own, ids)


def evidence_ids(words: np.ndarray, num_words: int, pairs: Tensor) -> np.ndarray:
    """The ids (T, 2) of words (T,) and of the pairs that they make with the words before them; 0 if unknown."""
    codes, known = _codes(words, num_words), pairs.numpy()
    found = np.zeros((len(words), _KINDS), np.int64)
    found[:, 0] = words
    if len(known):
        places = np.searchsorted(known, codes).clip(max=len(known) - 1)
        found[:, 1] = np.where((known[places] == codes) & (codes > 0), num_words + places, 0)
    return found


def _codes(words: np.ndarray, num_words: int) -> np.ndarray:
    """The code of each word's pair with the one before it (T,); 0 where either is unknown or there is none."""
    before = np.concatenate([[0], words[:-1]]).astype(np.int64)
    return np.where((before > 0) & (words > 0), before * num_words + words, 0)


def _distinct(ids: np.ndarray) -> np.ndarray:
    found = np.unique(ids)
    return found[found > 0]


def _one_hot(target: Tensor, num_labels: int) -> Tensor:
    """(N, K + 1): the labels of each item, then 1."""
    if target.dim() == 1:
        target = torch.nn.functional.one_hot(target, num_labels)
    return torch.cat([target.float(), torch.ones(len(target), 1)], dim=1)


def _count(ids: Sequence[np.ndarray], one_hot: Tensor, size: int) -> Tensor:
    owners = np.repeat(np.arange(len(ids)), [len(one) for one in ids])
    flat = torch.from_numpy(np.concatenate([np.empty(0, np.int64), *ids]))
    return torch.zeros(size, one_hot.shape[1]).index_add_(0, flat, one_hot[torch.from_numpy(owners)])


def _log_odds(counts: Tensor, items: Tensor, ids: Tensor) -> Tensor:
    """Evidence (B, T, 2 K) from counts (B, T, 2, K + 1), and items that broadcast with them."""
    prior = (items[..., :-1] + 1) / (items[..., -1:] + 2)
    with_label, without = counts[..., :-1], counts[..., -1:] - counts[..., :-1]
    odds = (with_label + _SMOOTHING * prior) / (without + _SMOOTHING * (1 - prior)) * (1 - prior) / prior
    return (odds.log() / 2).masked_fill((ids == 0).unsqueeze(-1), 0).flatten(2)
