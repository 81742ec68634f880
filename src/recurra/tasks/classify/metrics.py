"""How right the labels are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Counts", "Scores", "score"]


@dataclass(frozen=True)
class Counts:
    """Of one label, or of all together.

    Attributes:
        true: items that have it.
        predicted: items said to have it.
        right: items that do and were said to.
    """

    true: int
    predicted: int
    right: int

    @property
    def precision(self) -> float:
        """The share of those predicted that is right; 0 where none was."""
        return self.right / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        """The share of those true that was found; 0 where there are none."""
        return self.right / self.true if self.true else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of both; 0 where nothing is right."""
        return 2 * self.right / (self.true + self.predicted) if self.right else 0.0


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
        confusion: (K, K), true label by predicted label; None with several labels an item.
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
    shape = (len(references), len(labels))
    true, said = np.zeros(shape, bool), np.zeros(shape, bool)
    for row, (reference, found) in enumerate(zip(references, predicted, strict=True)):
        true[row, [places[label] for label in reference]] = True
        said[row, [places[label] for label in found]] = True
    right = true & said
    by_label = {
        label: Counts(*(int(part[:, k].sum()) for part in (true, said, right))) for k, label in enumerate(labels)
    }
    used = [counts.f1 for counts in by_label.values() if counts.true or counts.predicted]
    confusion = None
    if not several:
        confusion = np.zeros((len(labels), len(labels)), int)
        np.add.at(confusion, (true.argmax(1), said.argmax(1)), 1)
    return Scores(
        len(references),
        float((true == said).all(1).mean()),
        float(np.mean(used)) if used else 0.0,
        Counts(int(true.sum()), int(said.sum()), int(right.sum())),
        by_label,
        labels,
        confusion,
    )
