"""Linear rules that are learned by counting: naive Bayes of texts, the nearest mean of series."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recurra.data.labelled.label_set import LabelSet
from recurra.data.labelled.series_encoding import SeriesEncoding
from recurra.data.labelled.text_encoding import TextEncoding
from recurra.data.text.word_encoding import WordEncoding

__all__ = ["LinearBaseline", "fit_linear_baseline"]


@dataclass(frozen=True)
class LinearBaseline:
    """A linear rule, learned by counting.

    For texts it is naive Bayes over the words that occur (Wang and Manning 2012, MNB with binary counts). For series it
    is the nearest mean: each label has the means of its series' features, which are the mean, the deviation and the
    mean step of each channel. Each label of multi-label items is decided alone.

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


def fit_linear_baseline(
    encoding: TextEncoding | SeriesEncoding, labels: LabelSet, items: Sequence[Any], target: Tensor
) -> LinearBaseline:
    """Learn from training items, and their labels (N,) or (N, K), see `LabelSet.encode`."""
    if isinstance(encoding, TextEncoding):
        return _naive_bayes(encoding.words, [_words(encoding, item) for item in items], target, labels)
    return _nearest_mean(torch.stack([_summary(encoding, item) for item in items]), target, labels)


def _naive_bayes(words: WordEncoding, items: Sequence[set[int]], target: Tensor, labels: LabelSet) -> LinearBaseline:
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
    weight[0] = 0  # the unknown word counts for none
    return LinearBaseline(weight, bias)


def _log_fractions(counts: Tensor) -> Tensor:
    return (counts / counts.sum(0)).log()


def _nearest_mean(features: Tensor, target: Tensor, labels: LabelSet) -> LinearBaseline:
    # |x - m|^2 less |x|^2, which is the same for all labels, is linear in x.
    if not labels.multi_label:
        sums = features.new_zeros(len(labels), features.shape[1]).index_add_(0, target, features)
        means = sums / target.bincount(minlength=len(labels)).clamp(min=1).unsqueeze(1)
        return LinearBaseline(2 * means.T, -(means**2).sum(1))
    means, others = ((mask.T @ features) / mask.sum(0).clamp(min=1).unsqueeze(1) for mask in (target, 1 - target))
    return LinearBaseline(2 * (means - others).T, (others**2).sum(1) - (means**2).sum(1))


def _words(encoding: TextEncoding, text: str) -> set[int]:
    return {encoding.words.word(token) for token in encoding.tokens(text)} - {0}


def _summary(encoding: SeriesEncoding, series: np.ndarray) -> Tensor:
    steps = encoding.encode(series)[:, : encoding.num_values]
    change = steps.diff(dim=0).abs().mean(0) if len(steps) > 1 else torch.zeros(steps.shape[1])
    return torch.cat([steps.mean(0), steps.std(0, correction=0), change])
