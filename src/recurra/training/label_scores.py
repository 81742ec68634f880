"""Scores of predicted labels: accuracy, macro and micro F1, confusion."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recurra.training.counts import Counts

__all__ = ["LabelScores", "score_labels"]

_MOST_CONFUSED = 1000


@dataclass(frozen=True)
class LabelScores:
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


def score_labels(
    references: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], names: Sequence[str], multi_label: bool
) -> LabelScores:
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
    return LabelScores(
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
