"""Scores of labels and of their probabilities, and the baseline that a classifier has to beat."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recurra.data.text.word_encoding import WordEncoding
from recurra.tasks.classify.encoding import SeriesEncoding, TextEncoding
from recurra.tasks.classify.learned import LabelSet
from recurra.training.counts import Counts

__all__ = ["Baseline", "Scores", "fit_baseline", "fit_temperature", "score"]

_MOST_CONFUSED = 1000
_LARGEST = 20.0  # temperature


@dataclass(frozen=True)
class Scores:
    """Scores of predicted labels.

    Attributes:
        items: the number of items.
        accuracy: the fraction of items whose labels are all right, with no other predicted.
        macro_f1: the mean over labels of their F1; labels neither true nor predicted are left out.
        overall: over all labels together; its F1 is the micro F1, of one label an item the accuracy.
        by_label: in the order of `labels`.
        labels: those of the model, then those that only these items have.
        confusion: (K, K), true label by predicted label; None for multi-label items, or more than 1,000 labels.
    """

    items: int
    accuracy: float
    macro_f1: float
    overall: Counts
    by_label: dict[str, Counts]
    labels: tuple[str, ...]
    confusion: np.ndarray | None


def score(
    references: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], names: Sequence[str], multi_label: bool
) -> Scores:
    """Compare predicted labels with the true ones.

    Args:
        references: the true labels of each item, of which there is at least one.
        predicted: those of the model.
        names: the labels of the model.
        multi_label: whether an item has any number of labels.
    """
    known = set(names)
    others = sorted({label for labels in references for label in labels} - known)
    labels = (*names, *others)
    index = {label: k for k, label in enumerate(labels)}
    true, guessed = (_pairs(parts, index) for parts in (references, predicted))
    right = np.intersect1d(true, guessed, assume_unique=True)
    counts = [np.bincount(pairs % len(labels), minlength=len(labels)).tolist() for pairs in (true, guessed, right)]
    by_label = {label: Counts(*of) for label, *of in zip(labels, *counts, strict=True)}
    used = [counts.f1 for counts in by_label.values() if counts.true or counts.predicted]
    wrong = np.setxor1d(true, guessed, assume_unique=True) // len(labels)
    confusion = None
    if not multi_label and len(labels) <= _MOST_CONFUSED:
        confusion = np.zeros((len(labels), len(labels)), int)
        np.add.at(confusion, (true % len(labels), guessed % len(labels)), 1)
    return Scores(
        len(references),
        1 - len(np.unique(wrong)) / len(references),
        float(np.mean(used)) if used else 0.0,
        Counts(len(true), len(guessed), len(right)),
        by_label,
        labels,
        confusion,
    )


def _pairs(parts: Sequence[Sequence[str]], index: dict[str, int]) -> np.ndarray:
    """The id of every pair of item and label, item * K + label, increasing by item."""
    rows = np.repeat(np.arange(len(parts)), [len(labels) for labels in parts])
    columns = [index[label] for labels in parts for label in labels]
    return rows * len(index) + np.array(columns, dtype=np.int64)


def fit_temperature(logits: np.ndarray, target: np.ndarray) -> float:
    """The temperature T for which the probabilities of logits / T fit best (Guo et al. 2017, section 4.2).

    If a few items are all classified correctly, the best fit has no doubt at all. The items therefore count as if there
    were one more, of which any label may be true (Platt 1999 smooths targets so). T is limited to 1/20 to 20.

    Args:
        logits: (N, K), of items that the model was not trained on.
        target: the indices of their labels (N,), or for multi-label items (N, K) of 0 and 1.

    Returns:
        T; 1 if there are no items.
    """
    if not len(logits):
        return 1.0
    logits = logits.astype(np.float64)
    doubt = 1 / (len(logits) + 1)
    if target.ndim == 2:
        explained = (target * (1 - doubt) + doubt / 2) * logits
    else:
        explained = (1 - doubt) * logits[np.arange(len(logits)), target] + doubt * logits.mean(1)

    def slope(inverse: float) -> float:
        """Of the mean loss in 1 / T, in which it is convex."""
        scaled = inverse * logits
        if target.ndim == 2:
            return float((logits / (1 + np.exp(-np.clip(scaled, -700, 700))) - explained).mean())
        probabilities = np.exp(scaled - scaled.max(1, keepdims=True))
        probabilities /= probabilities.sum(1, keepdims=True)
        return float(((probabilities * logits).sum(1) - explained).mean())

    low, high = 1 / _LARGEST, _LARGEST
    if slope(low) >= 0:
        return _LARGEST
    if slope(high) <= 0:
        return 1 / _LARGEST
    while high / low > 1 + 1e-9:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    return float(1 / (low * high) ** 0.5)


@dataclass(frozen=True)
class Baseline:
    """A linear rule, learned by counting.

    Of texts naive Bayes over the words that occur (Wang and Manning 2012, MNB with binary counts); of series the
    nearest of the labels' means of each channel's mean, deviation and mean step. Each label of
    multi-label items is decided alone.

    Attributes:
        weight: (F, K).
        bias: (K,); for multi-label items the threshold.
    """

    weight: Tensor
    bias: Tensor

    @staticmethod
    def name(texts: bool) -> str:
        """The name of the baseline."""
        return "naive Bayes" if texts else "nearest mean"

    def predict(
        self, encoding: TextEncoding | SeriesEncoding, labels: LabelSet, items: Sequence[Any]
    ) -> list[tuple[str, ...]]:
        """The labels of items."""
        scores = np.stack([self._scores(encoding, item) for item in items])
        if labels.multi_label:
            # Only signs count: above a half is above 0.
            return labels.decode((scores > 0).astype(float))
        return labels.decode(scores)

    def _scores(self, encoding: TextEncoding | SeriesEncoding, item: Any) -> np.ndarray:
        if isinstance(encoding, TextEncoding):
            ids = sorted(_words(encoding, item))
            return (self.weight[ids].sum(0) + self.bias).numpy()
        return (_summary(encoding, item) @ self.weight + self.bias).numpy()


def fit_baseline(
    encoding: TextEncoding | SeriesEncoding, labels: LabelSet, items: Sequence[Any], target: Tensor
) -> Baseline:
    """Learn from training items, and their labels (N,) or (N, K), see `LabelSet.encode`."""
    if isinstance(encoding, TextEncoding):
        return _naive_bayes(encoding.words, [_words(encoding, item) for item in items], target, labels)
    return _nearest_mean(torch.stack([_summary(encoding, item) for item in items]), target, labels)


def _naive_bayes(words: WordEncoding, items: Sequence[set[int]], target: Tensor, labels: LabelSet) -> Baseline:
    size, count = len(words.words), len(labels)
    ids = torch.tensor([one for item in items for one in item], dtype=torch.int64)
    owners = torch.repeat_interleave(torch.tensor([len(item) for item in items]))
    if labels.multi_label:
        counts = torch.stack([ids[target[owners, k] > 0].bincount(minlength=size) for k in range(count)], dim=1)
        others = 1 + ids.bincount(minlength=size).unsqueeze(1) - counts
        prior = target.mean(0).clamp(1e-6, 1 - 1e-6)
        bias = (prior / (1 - prior)).log()
    else:
        counts = (ids * count + target[owners]).bincount(minlength=size * count).reshape(size, count)
        others = None
        bias = (target.bincount(minlength=count) / len(items)).clamp(min=1e-6).log()
    weight = _log_fractions(1 + counts)
    if others is not None:
        weight -= _log_fractions(others)
    weight[0] = 0  # the unknown word says nothing
    return Baseline(weight, bias)


def _log_fractions(counts: Tensor) -> Tensor:
    return (counts / counts.sum(0)).log()


def _nearest_mean(features: Tensor, target: Tensor, labels: LabelSet) -> Baseline:
    # |x - m|^2 less |x|^2, which is the same for all labels, is linear in x.
    if not labels.multi_label:
        sums = features.new_zeros(len(labels), features.shape[1]).index_add_(0, target, features)
        means = sums / target.bincount(minlength=len(labels)).clamp(min=1).unsqueeze(1)
        return Baseline(2 * means.T, -(means**2).sum(1))
    means, others = ((mask.T @ features) / mask.sum(0).clamp(min=1).unsqueeze(1) for mask in (target, 1 - target))
    return Baseline(2 * (means - others).T, (others**2).sum(1) - (means**2).sum(1))


def _words(encoding: TextEncoding, text: str) -> set[int]:
    return {encoding.words.word(token) for token in encoding.tokens(text)} - {0}


def _summary(encoding: SeriesEncoding, series: np.ndarray) -> Tensor:
    steps = encoding.encode(series)[:, : len(encoding.channels)]
    change = steps.diff(dim=0).abs().mean(0) if len(steps) > 1 else torch.zeros(steps.shape[1])
    return torch.cat([steps.mean(0), steps.std(0, correction=0), change])
