"""Predictions and evaluations of a classifier."""

from typing import Any

from recurra.data.labelled.items import Items, values_of
from recurra.data.labelled.texts import LabelledTexts
from recurra.task import Evaluation
from recurra.task.classes import Classes
from recurra.task.label_evaluation import FRACTIONS, beginning_lengths, evaluate_labels
from recurra.tasks.classify.network import FittedClassifier, logits_of, probabilities_of

__all__ = ["evaluate", "predict"]


def predict(fitted: FittedClassifier, items: Items, separator: str | None, **options: Any) -> Classes:
    """Classify items.

    Args:
        fitted: a classifier.
        items: with labels or without.
        separator: text between several labels in a table; None: "|".
        options: more arguments of `Classes`.
    """
    learned = fitted.learned
    probabilities = probabilities_of(fitted, learned.encode(values_of(items), items.source))
    names, kind = (items.texts, "text") if isinstance(items, LabelledTexts) else (items.ids, "series")
    return Classes(names, learned.labels, probabilities, kind=kind, separator=separator or "|", **options)


def evaluate(fitted: FittedClassifier, items: Items) -> Evaluation:
    """Compare predictions with known labels; see `Classifier.evaluate`.

    Raises:
        DataError: an item has not exactly one label, but all items of training had.
    """
    learned, values = fitted.learned, values_of(items)
    assert items.labels is not None
    learned.check_single_labels(items)
    encoded = learned.encode(values, items.source)
    early = {}
    for fraction in FRACTIONS:
        beginnings = encoded.beginnings(beginning_lengths(encoded.lengths, fraction))
        early[fraction] = learned.labels.decode(probabilities_of(fitted, beginnings))
    return evaluate_labels(
        items.source,
        items.labels,
        learned.labels,
        logits_of(fitted, encoded),
        learned.temperature,
        learned.baselines(values),
        early,
    )
