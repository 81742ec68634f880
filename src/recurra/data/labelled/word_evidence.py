"""Evidence for labels from counts of words, pairs and spellings: log-odds of naive Bayes, for a network to read.

A small data set has most words a few times. A network that has to learn from scratch which of them speak for a label
does worse than counting does; one that reads the counts learns what order makes of them, such as "not bad".
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from recurra.data.labelled.valence_shifters import fit_shifts, shifted
from recurra.data.text.vocabulary import Vocabulary
from recurra.data.text.word_encoding import WordEncoding

__all__ = ["KINDS", "MOST_LABELS", "Evidence", "SampledEvidence", "WordCounts"]

MOST_LABELS = 32
"""With more labels the network would read more evidence than words: it then reads none."""

KINDS = 4
"""Kinds of evidence: words, pairs of a word and the one before it, spellings, and words changed by those before."""

_FEWEST = 2  # items that have a pair or a gram
_GRAM = 5  # characters, the marks of a word's two ends included
_MOST_GRAMS = 12  # of a word
_OVERLAP = 4  # grams of a word that are about the same evidence
_SMOOTHING = 2.0  # items, of labels as all have them, that each id is seen in beside those counted
_SEED = 0x45564944  # tells these random numbers from others of the same seed
_FOLDS = 5  # of the items that shifts are fitted to
_MOST_VALUES = 1_000_000  # evidence values of words, for the same
_AT_ONCE = 20_000  # steps whose evidence is computed together
_TENSORS = ("pairs", "counts", "items", "shifts")


class WordCounts(Protocol):
    """The counts from which the ids of a batch have their evidence."""

    def values(self, ids: Tensor) -> Tensor:
        """The evidence (B, T, 4 K) float32 of ids (B, T, 14); see `Evidence`."""
        ...


@dataclass(frozen=True)
class Evidence:
    """How many training items have each word, pair of words and gram, with each label.

    A gram is five characters of a word, whose ends are marked. Grams are evidence of words that training never saw.

    The evidence of a word w for the label k is half of log p(w | k) / p(w | not k), smoothed (Wang and Manning 2012,
    section 2.1, for each label against all others): of two labels the sum over the words of a text, once for each
    label, differs by the log-odds of naive Bayes. That of its spelling is a fourth of the sum over its grams.

    A word that comes after a valence shifter, such as "not", has in addition its evidence times the shift: -1 takes its
    evidence away, -2 inverts it. What no training item says of "not bad", this says, if "bad" speaks for a label and
    "not" shifts other words.

    Attributes:
        pairs: codes (P,) int64 of pairs that at least two items have, increasing: V times the first word plus the
            second.
        grams: those that at least two items have, G.
        counts: items (V + P + G, K + 1) float32 that have the word, pair or gram: with each label, then all.
        items: (K + 1,) float32, with each label, then all.
        shifts: (V,) float32, of each word.
    """

    pairs: Tensor
    grams: Vocabulary
    counts: Tensor
    items: Tensor
    shifts: Tensor

    @classmethod
    def of(cls, texts: Sequence[Sequence[str]], encoding: WordEncoding, target: Tensor, num_labels: int) -> "Evidence":
        """Count.

        Args:
            texts: the tokens of each training item.
            encoding: of words.
            target: the labels of the items, (N,) or (N, K); see `LabelSet.encode`.
            num_labels: K.
        """
        codes = [_distinct(_pair_indices(_words(tokens, encoding), len(encoding.words))) for tokens in texts]
        pairs, counts = np.unique(np.concatenate(codes), return_counts=True)
        spelled = Counter(
            gram for tokens in texts for gram in {g for form in set(tokens) for g in _grams(form, encoding)}
        )
        grams = Vocabulary(sorted(gram for gram, count in spelled.items() if count >= _FEWEST))
        one_hot = _one_hot(target, num_labels)
        known, no_shifts = torch.from_numpy(pairs[counts >= _FEWEST]), torch.zeros(len(encoding.words))
        empty = cls(known, grams, torch.empty(0), one_hot.sum(0), no_shifts)
        ids = empty.ids(texts, encoding)
        table = _count([_distinct(one) for one in ids], one_hot, len(encoding.words) + len(known) + len(grams))
        counted = replace(empty, counts=table)
        return replace(counted, shifts=_CrossFitted.of(counted, ids, one_hot).shifts(target))

    @property
    def size(self) -> int:
        """Values of a step, 4 K."""
        return KINDS * (len(self.items) - 1)

    def ids(self, texts: Sequence[Sequence[str]], encoding: WordEncoding) -> list[np.ndarray]:
        """The ids (T, 14) int32 of the tokens of each text: of the word, its pair with the one before, and its grams.

        Unknown words, pairs and grams have the id 0.
        """
        first = len(encoding.words) + len(self.pairs)
        spelled: dict[str, list[int]] = {}
        ids_of_texts = []
        for tokens in texts:
            words = _words(tokens, encoding)
            ids = np.zeros((len(tokens), 2 + _MOST_GRAMS), np.int32)
            ids[:, 0], ids[:, 1] = words, self._pair_ids(words, len(encoding.words))
            for row, form in zip(ids, tokens, strict=True):
                if form not in spelled:
                    known = [first + self.grams[gram] for gram in _grams(form, encoding) if gram in self.grams]
                    spelled[form] = known[:_MOST_GRAMS]
                row[2 : 2 + len(spelled[form])] = spelled[form]
            ids_of_texts.append(ids)
        return ids_of_texts

    def values(self, ids: Tensor) -> Tensor:
        """The evidence (B, T, 4 K) of ids (B, T, 14), for each label: of words, of pairs, of spellings, of shifts."""
        return _values(self.counts[ids], self.items, ids, self.shifts[ids[:, :, 0]])

    def to_json(self) -> list[str]:
        """The values that `from_json` reads beside tensors."""
        return list(self.grams.symbols)

    def tensors(self) -> dict[str, Tensor]:
        """The tensors that `from_json` reads, by name."""
        return {f"evidence.{name}": getattr(self, name) for name in _TENSORS}

    @classmethod
    def from_json(cls, values: Sequence[str], tensors: Mapping[str, Tensor]) -> "Evidence":
        """The inverse of `to_json` and `tensors`."""
        return cls(grams=Vocabulary(values), **{name: tensors[f"evidence.{name}"] for name in _TENSORS})

    def _pair_ids(self, words: np.ndarray, num_words: int) -> np.ndarray:
        codes, known = _pair_indices(words, num_words), self.pairs.numpy()
        if not len(known):
            return np.zeros_like(words)
        indices = np.searchsorted(known, codes).clip(max=len(known) - 1)
        return np.where((known[indices] == codes) & (codes > 0), num_words + indices, 0)


class SampledEvidence:
    """Evidence for training: that of a random half of all items, anew in each epoch, and never of the item itself.

    Counts that include an item reveal its label. Counts that merely leave it out reveal the label too: a word's count
    is then less by one for the item's own label alone. The random half hides both. Shifts come from the items of other
    folds.

    Args:
        evidence: of all items.
        ids: of each item, from `Evidence.ids`.
        target: the labels of the items, (N,) or (N, K).
        seed: of the random halves.
    """

    def __init__(self, evidence: Evidence, ids: Sequence[np.ndarray], target: Tensor, seed: int) -> None:
        self._size = len(evidence.counts)
        self._ids = [_distinct(one) for one in ids]
        self._one_hot = _one_hot(target, len(evidence.items) - 1)
        fitted = _CrossFitted.of(evidence, ids, self._one_hot)
        self._shifts = torch.stack([*(fitted.shifts(target, fold) for fold in range(_FOLDS)), evidence.shifts])
        self._folds = torch.full((len(ids),), _FOLDS)
        self._folds[fitted.chosen] = torch.arange(len(fitted.chosen)) % _FOLDS
        self._seed = seed
        self._epoch = -1

    def of(self, indices: np.ndarray, epoch: int) -> WordCounts:
        """The counts for the items (B,) in an epoch, from 0: a function of the arguments and the seed."""
        if epoch != self._epoch:
            generator = np.random.default_rng((_SEED, self._seed, epoch))
            self._counted = torch.from_numpy(generator.random(len(self._ids)) < 0.5)
            counted = self._counted.nonzero().squeeze(1)
            self._items = self._one_hot[counted].sum(0)
            self._counts = _count([self._ids[k] for k in counted.tolist()], self._one_hot[counted], self._size)
            self._epoch = epoch
        rows = torch.from_numpy(indices)
        own = self._one_hot[rows] * self._counted[rows].unsqueeze(1)
        return _Without(self._counts, self._items, self._shifts[self._folds[rows]], own)


@dataclass(frozen=True)
class _Without:
    """Counts of which each item of a batch is left out.

    Attributes:
        counts: (V + P + G, K + 1).
        items: (K + 1,).
        shifts: of the words, for each item (B, V).
        own: what the item added to its counts (B, K + 1).
    """

    counts: Tensor
    items: Tensor
    shifts: Tensor
    own: Tensor

    def values(self, ids: Tensor) -> Tensor:
        own = self.own[:, None, None]
        # The id 0, which is never counted, has nothing to leave out.
        shifts = self.shifts.gather(1, ids[:, :, 0])
        return _values((self.counts[ids] - own).clamp(min=0), self.items - own, ids, shifts)


def _words(tokens: Sequence[str], encoding: WordEncoding) -> np.ndarray:
    return np.array([encoding.word(token) for token in tokens], np.int64)


def _grams(form: str, encoding: WordEncoding) -> list[str]:
    """The grams of a word, each once; none of one that is shorter."""
    marked = f"<{form.lower() if encoding.lowercase else form}>"
    return list(dict.fromkeys(marked[k : k + _GRAM] for k in range(len(marked) - _GRAM + 1)))


def _pair_indices(words: np.ndarray, num_words: int) -> np.ndarray:
    """The index of each word's pair with the one before it (T,); 0 if either is unknown or missing."""
    before = np.concatenate([[0], words[:-1]]).astype(np.int64)
    return np.where((before > 0) & (words > 0), before * num_words + words, 0)


def _distinct(ids: np.ndarray) -> np.ndarray:
    distinct = np.unique(ids)
    return distinct[distinct > 0]


def _one_hot(target: Tensor, num_labels: int) -> Tensor:
    """(N, K + 1): the labels of each item, then 1."""
    if target.dim() == 1:
        target = torch.nn.functional.one_hot(target, num_labels)
    return torch.cat([target.float(), torch.ones(len(target), 1)], dim=1)


def _count(ids: Sequence[np.ndarray], one_hot: Tensor, size: int) -> Tensor:
    owners = np.repeat(np.arange(len(ids)), [len(one) for one in ids])
    flat = torch.from_numpy(np.concatenate([np.empty(0, np.int64), *ids]).astype(np.int64))
    return torch.zeros(size, one_hot.shape[1]).index_add_(0, flat, one_hot[torch.from_numpy(owners)])


@dataclass(frozen=True)
class _CrossFitted:
    """The steps of items, end to end, with the evidence that each has from the items of other folds.

    Attributes:
        evidence: by kind (S, 4, K).
        words: (S,).
        owners: the item of each step (S,), an index of `chosen`. An item's fold is the remainder of that by the folds.
        chosen: which of all items these are (C,).
        size: V.
    """

    evidence: Tensor
    words: Tensor
    owners: Tensor
    chosen: Tensor
    size: int

    @classmethod
    def of(cls, evidence: Evidence, ids: Sequence[np.ndarray], one_hot: Tensor) -> "_CrossFitted":
        order = np.random.default_rng(_SEED).permutation(len(ids))
        ends = np.cumsum([len(ids[k]) for k in order])
        most = _MOST_VALUES // (len(evidence.items) - 1)
        chosen = order[: max(1, int((ends <= most).sum()))]
        distinct, parts = [_distinct(ids[k]) for k in chosen], []
        for fold in range(_FOLDS):
            own = np.arange(fold, len(chosen), _FOLDS)
            rest = np.delete(np.arange(len(chosen)), own)
            labels = one_hot[chosen[rest]]
            counts = _count([distinct[k] for k in rest], labels, len(evidence.counts))
            without = replace(evidence, counts=counts, items=labels.sum(0))
            parts.append(_end_to_end(without, [ids[k] for k in chosen[own]], torch.from_numpy(own)))
        values, words, owners = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
        in_order = owners.argsort(stable=True)
        by_kind = values[in_order].unflatten(1, (KINDS, len(evidence.items) - 1))
        return cls(by_kind, words[in_order], owners[in_order], torch.from_numpy(chosen), len(evidence.shifts))

    def shifts(self, target: Tensor, without: int | None = None) -> Tensor:
        """The shifts of words (V,), of all these items or of those of the other folds than `without`."""
        items = torch.arange(len(self.chosen))
        used = items % _FOLDS != without if without is not None else torch.ones(len(items), dtype=torch.bool)
        steps = used[self.owners]
        owners = (used.cumsum(0) - 1)[self.owners[steps]]
        evidence = self.evidence[steps]
        fitted_to = target[self.chosen[used]]
        return fit_shifts(evidence[:, 0], evidence[:, 1:-1], self.words[steps], owners, fitted_to, self.size)


def _end_to_end(evidence: Evidence, ids: Sequence[np.ndarray], owners: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The evidence (S, 4 K) of the S steps of all items, their words (S,) and the owner (S,) of each."""
    lengths = torch.tensor([len(one) for one in ids], dtype=torch.int64)
    flat = torch.from_numpy(np.concatenate([np.empty((0, 2 + _MOST_GRAMS), np.int32), *ids])).long()
    values = [evidence.values(part.unsqueeze(0))[0] for part in flat.split(_AT_ONCE)]
    return torch.cat(values), flat[:, 0], owners.repeat_interleave(lengths)


def _values(counts: Tensor, items: Tensor, ids: Tensor, shifts: Tensor) -> Tensor:
    """Evidence (B, T, 4 K) from counts (B, T, 14, K + 1), items that broadcast with them, and words' shifts (B, T)."""
    values = _log_odds(counts, items, ids)
    words = values[:, :, 0]
    spelled = values[:, :, 2:].sum(2) / _OVERLAP
    return torch.cat([words, values[:, :, 1], spelled, shifted(words, shifts)], dim=2)


def _log_odds(counts: Tensor, items: Tensor, ids: Tensor) -> Tensor:
    """Half of the log-odds (B, T, 14, K) of each id, of counts (B, T, 14, K + 1); 0 of the id 0."""
    prior = (items[..., :-1] + 1) / (items[..., -1:] + 2)
    with_label, without = counts[..., :-1], counts[..., -1:] - counts[..., :-1]
    odds = (with_label + _SMOOTHING * prior) / (without + _SMOOTHING * (1 - prior)) * (1 - prior) / prior
    return (odds.log() / 2).masked_fill((ids == 0).unsqueeze(-1), 0)
