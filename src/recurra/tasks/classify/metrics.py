"""How right the labels are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recurra.training.counts import Counts

__all__ = ["Scores", "score"]

_MOST_CONFUSED = 1000


@dataclass(frozen=True)
class Scores:
    """How right predicted labels are.

    Attributes:
        items: how many.
        accuracy: the share of items whose labels are all right, and no other is said.
        macro_f1: the mean over labels of their F1; labels neither true nor predicted are left out.
        overall: over all labels together; its F1 is the micro F1, of one label an item the accuracy.
        by_label: in the order of `labels`.
        labels: those of the model, then those that only these items have.
        confusion: (K, K), true label by predicted label; None with several labels an item, or more than 1,000 labels.
    """

    items: int
    accuracy: float
    macro_f1: float
    overall: Counts
    by_label: dict[str, Counts]
    labels: tuple[str, ...]
    confusion: np.ndarray | None


def score(
    references: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], names: Sequence[str], several: bool
) -> Scores:
    """Compare.

    Args:
        references: the true labels of each item, of which there is at least one.
        predicted: those of the model.
        names: the labels of the model.
        several: whether an item has any number of labels.
    """
    known = set(names)
    others = sorted({label for labels in references for label in labels} - known)
    labels = (*names, *others)
    places = {label: k for k, label in enumerate(labels)}
    true, said = (_codes(parts, places) for parts in (references, predicted))
    right = np.intersect1d(true, said, assume_unique=True)
    counts = [np.bincount(codes % len(labels), minlength=len(labels)).tolist() for codes in (true, said, right)]
    by_label = {label: Counts(*of) for label, *of in zip(labels, *counts, strict=True)}
    used = [counts.f1 for counts in by_label.values() if counts.true or counts.predicted]
    wrong = np.setxor1d(true, said, assume_unique=True) // len(labels)
    confusion = None
    if not several and len(labels) <= _MOST_CONFUSED:
        confusion = np.zeros((len(labels), len(labels)), int)
        np.add.at(confusion, (true % len(labels), said % len(labels)), 1)
    return Scores(
        len(references),
        1 - len(np.unique(wrong)) / len(references),
        float(np.mean(used)) if used else 0.0,
        Counts(len(true), len(said), len(right)),
        by_label,
        labels,
        confusion,
    )


def _codes(parts: Sequence[Sequence[str]], places: dict[str, int]) -> np.ndarray:
    """Item times K plus label, for every label of every item, increasing by item."""
    rows = np.repeat(np.arange(len(parts)), [len(labels) for labels in parts])
    columns = [places[label] for labels in parts for label in labels]
    return rows * len(places) + np.array(columns, dtype=np.int64)
