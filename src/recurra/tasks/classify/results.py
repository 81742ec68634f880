"""Predictions and evaluations of a classifier as results: text and tables."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from recurra.data.labelled.items import Items, values_of
from recurra.data.labelled.label_set import LabelSet
from recurra.data.labelled.texts import LabelledTexts
from recurra.task import Evaluation
from recurra.task.reliability import BINS, Reliability, reliability
from recurra.task.results import Table, TablePredictions
from recurra.tasks.classify.network import FittedClassifier, logits_of, probabilities_of
from recurra.tasks.classify.pictures import draw_confusion, draw_early_decision, draw_reliability
from recurra.text_table import one_line, percent, text_table
from recurra.training.label_scores import LabelScores, score_labels

__all__ = [
    "Classes",
    "Prediction",
    "beginning_lengths",
    "by_label_table",
    "confusion_table",
    "evaluate",
    "predict",
]

_ONE_LABEL = (
    "The model answers {label} to every item, which is right for {accuracy} % of them. Train it longer, on more data, "
    "or with another learning rate."
)
_AT_CHANCE = (
    "The model is at chance: its accuracy is {accuracy} %, and answering {label} to every item gives {guess} %. Train "
    "it longer, on more data, or with another learning rate."
)
_FRACTIONS = tuple(k / 10 for k in range(1, 11))
_MOST_LABELS = 30  # in a table
_LABELS_OF_A_TEXT = 10


@dataclass(frozen=True)
class Prediction:
    """The prediction for an item.

    Attributes:
        labels: one, or any number of a multi-label item; of the type that training's labels had.
        probabilities: of every label, calibrated.
        confidence: see `LabelSet.confidence`.
    """

    labels: tuple[Any, ...]
    probabilities: Mapping[Any, float]
    confidence: float


class Classes(TablePredictions[Any], Sequence[Prediction]):
    """Predicted labels: a sequence with a `Prediction` for each item.

    Args:
        names: of the items: texts, or the ids of series.
        label_set: of the classifier.
        probabilities: calibrated (N, K), in the order of the label set.
        texts: whether items are texts.
        separator: text between several labels in a table.
        path: of the file that was read. None: there was none.
        with_probabilities: whether the table has the probability of every label.
        shown: what the terminal shows: how many items there are, the likeliest labels of a single item, or the table.

    Attributes:
        probabilities: calibrated (N, K), in the order of the label set.
        confidence: in the labels of each item (N,); see `LabelSet.confidence`.
    """

    def __init__(
        self,
        names: Sequence[str],
        label_set: LabelSet,
        probabilities: np.ndarray,
        *,
        texts: bool = True,
        separator: str = "|",
        path: Path | None = None,
        with_probabilities: bool = False,
        shown: Literal["count", "ranking", "table"] = "count",
    ) -> None:
        self._names, self._label_set, self._texts = names, label_set, texts
        self._separator, self.read_from = separator, path
        self._with_probabilities, self._shown = with_probabilities, shown
        self.streams = shown == "table"
        self._values = [label_set.restore(name) for name in label_set.names.symbols]
        self.probabilities, self.confidence = probabilities, label_set.confidence(probabilities)

    @property
    def labels(self) -> list[tuple[Any, ...]]:
        """The labels of each item."""
        return [tuple(map(self._label_set.restore, names)) for names in self.names()]

    @property
    def values(self) -> Any:
        """The label of each item as an array (N,); of multi-label items a list of tuples."""
        return self.labels if self._label_set.multi_label else np.array([label for (label,) in self.labels])

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[k] for k in range(*index.indices(len(self)))]
        labels = map(self._label_set.restore, self._label_set.decode(self.probabilities[index][np.newaxis])[0])
        probabilities = dict(zip(self._values, self.probabilities[index].tolist(), strict=True))
        return Prediction(tuple(labels), probabilities, float(self.confidence[index]))

    def text(self, color: bool = False) -> Iterator[str]:
        if self._shown == "table":
            yield self.table().csv()
            return
        if self._shown == "count":
            kind = "series" if not self._texts else "text" if len(self) == 1 else "texts"
            yield f"{len(self):,} {kind}, mean confidence {self.confidence.mean():.3f}\n"
            return
        (labels,) = self.names()
        symbols = self._label_set.names.symbols
        order = np.argsort(-self.probabilities[0], kind="stable")[:_LABELS_OF_A_TEXT]
        shown = [one_line(symbols[k]) for k in order]
        width = max(map(len, shown))
        for k, name in zip(order, shown, strict=True):
            mark = "*" if symbols[k] in labels else " "
            yield f"{mark} {name.ljust(width)}  {100 * self.probabilities[0, k]:5.1f} %\n"

    def table(self) -> Table:
        """One row for each item: its text or id, its labels, the confidence and perhaps each label's probability."""
        symbols = self._label_set.names.symbols if self._with_probabilities else ()
        columns = ("text" if self._texts else "id", "label", "confidence", *(f"p({name})" for name in symbols))
        rows = [
            [name, self._separator.join(labels), f"{confidence:.6f}", *(f"{p:.6f}" for p in row[: len(symbols)])]
            for name, labels, confidence, row in zip(
                self._names, self.names(), self.confidence, self.probabilities, strict=True
            )
        ]
        return Table(columns, rows)

    def names(self) -> list[tuple[str, ...]]:
        """The labels of each item as text."""
        return self._label_set.decode(self.probabilities)


def predict(fitted: FittedClassifier, items: Items, separator: str | None, **options: Any) -> Classes:
    """Classify items.

    Args:
        fitted: a classifier.
        items: with labels or without.
        separator: text between several labels in a table; None: "|".
        options: more arguments of `Classes`.
    """
    learned, texts = fitted.learned, isinstance(items, LabelledTexts)
    probabilities = probabilities_of(fitted, learned.encode(values_of(items), items.source))
    names = items.texts if isinstance(items, LabelledTexts) else items.ids
    return Classes(names, learned.labels, probabilities, texts=texts, separator=separator or "|", **options)


def evaluate(fitted: FittedClassifier, items: Items) -> Evaluation:
    """Compare predictions with known labels; see `Classifier.evaluate`.

    Raises:
        DataError: an item has not exactly one label, but all items of training had.
    """
    learned = fitted.learned
    labels, values = learned.labels, values_of(items)
    assert items.labels is not None
    learned.check_single_labels(items)
    names, multi_label = labels.names.symbols, labels.multi_label
    encoded = learned.encode(values, items.source)
    logits = logits_of(fitted, encoded)
    probabilities = learned.probabilities(logits)
    target = labels.encode(items.labels).numpy()
    predicted = {"model": labels.decode(probabilities), **learned.baselines(values)}
    methods = {name: score_labels(items.labels, one, names, multi_label) for name, one in predicted.items()}
    loss = _mean_loss(probabilities, target)
    before, after = _reliability(labels.probabilities(logits), target), _reliability(probabilities, target)
    early = {}
    for fraction in _FRACTIONS:
        beginnings = encoded.beginnings(beginning_lengths(encoded.lengths, fraction))
        decided = labels.decode(probabilities_of(fitted, beginnings))
        early[fraction] = score_labels(items.labels, decided, names, multi_label).overall.f1
    unseen = learned.unseen(items)
    model = methods["model"]
    warnings = [] if multi_label else doubts(model)
    tables = {"by_label": by_label_table(methods)}
    pictures: dict[str, Any] = {}
    if model.confusion is not None:
        tables["confusion"] = confusion_table(model)
        pictures["confusion"] = partial(draw_confusion, model.labels, model.confusion)
    pictures["reliability"] = partial(draw_reliability, before, after, learned.temperature, multi_label)
    pictures["early_decision"] = partial(draw_early_decision, early, model, multi_label)
    return Evaluation(
        f"{items.source}: {len(items):,} items",
        {name: _measures(one, multi_label) for name, one in methods.items()},
        "accuracy",
        tables=tables,
        notes=_notes(loss, before, after, learned.temperature, {} if warnings else early, multi_label, unseen),
        warnings=warnings,
        facts={
            "source": items.source,
            "items": len(items),
            "loss_nats": None if math.isnan(loss) else loss,
            "temperature": learned.temperature,
            "expected_calibration_error": {
                "as_trained": before.expected_calibration_error,
                "with_temperature": after.expected_calibration_error,
            },
            "reliability": {"as_trained": _curve(before), "with_temperature": _curve(after)},
            "early_decision": {f"{fraction:g}": value for fraction, value in early.items()},
            "unseen_labels": unseen,
        },
        pictures=pictures,
    )


def beginning_lengths(lengths: np.ndarray, fraction: float) -> np.ndarray:
    """The steps (N,) of the first `fraction` of sequences of some lengths (N,), at least one step of each."""
    # A rounding error is subtracted: a tenth of ten is one.
    return np.maximum(np.ceil(fraction * lengths - 1e-9).astype(int), 1)


def doubts(scores: LabelScores) -> list[str]:
    """Sentences about a model that answers one label to everything, or that is at chance.

    Args:
        scores: of items with one label each.
    """
    true = {name: one.true for name, one in scores.by_label.items() if one.true}
    predicted = [name for name, one in scores.by_label.items() if one.predicted]
    if len(true) < 2:
        return []
    if len(predicted) == 1:
        return [_ONE_LABEL.format(label=one_line(predicted[0]), accuracy=percent(scores.accuracy))]
    frequent = max(true, key=lambda name: true[name])
    guess = true[frequent] / scores.items
    # Two standard errors above a guess may still be one.
    if scores.accuracy <= guess + 2 * math.sqrt(guess * (1 - guess) / scores.items):
        label = one_line(frequent)
        return [_AT_CHANCE.format(accuracy=percent(scores.accuracy), label=label, guess=percent(guess))]
    return []


def by_label_table(methods: Mapping[str, LabelScores]) -> Table:
    """Precision, recall and F1 of each label, by method; the terminal shows the model's alone."""
    columns = ("label", "method", "precision", "recall", "f1", "true", "predicted", "right")
    rows = [
        [name, method, one.precision, one.recall, one.f1, one.true, one.predicted, one.right]
        for method, scores in methods.items()
        for name, one in scores.by_label.items()
    ]
    by_label = methods["model"].by_label
    shown = [["label", "precision, %", "recall, %", "F1, %", "items"]]
    for name, one in list(by_label.items())[:_MOST_LABELS]:
        shown.append([one_line(name), *map(percent, (one.precision, one.recall, one.f1)), f"{one.true:,}"])
    more = len(by_label) - _MOST_LABELS
    return Table(columns, rows, text_table(shown) + (f"\n(and {more:,} more labels)" if more > 0 else ""))


def confusion_table(scores: LabelScores) -> Table:
    """True labels by predicted labels. The scores have a confusion matrix."""
    assert scores.confusion is not None
    rows = [[name, *row] for name, row in zip(scores.labels, scores.confusion.tolist(), strict=True)]
    return Table(("true \\ predicted", *scores.labels), rows)


def _measures(scores: LabelScores, multi_label: bool) -> dict[str, float]:
    micro = {"micro F1": scores.overall.f1} if multi_label else {}
    return {"accuracy": scores.accuracy, **micro, "macro F1": scores.macro_f1}


def _notes(
    loss: float,
    before: Reliability,
    after: Reliability,
    temperature: float,
    early: Mapping[float, float],
    multi_label: bool,
    unseen: Mapping[str, int],
) -> list[str]:
    with_it, without = (100 * one.expected_calibration_error for one in (after, before))
    notes = [
        f"The loss is {loss:.4f} nats. The expected calibration error, in {BINS} bins of equal width, is {with_it:.1f} "
        f"points, and {without:.1f} without the temperature of {temperature:.2f}.",
    ]
    if early:
        enough = next((fraction for fraction, value in early.items() if value >= 0.95 * early[max(early)]), 1.0)
        measure = "micro F1" if multi_label else "accuracy"
        notes.append(f"95 % of the {measure} is reached once {100 * enough:.0f} % of each item is read.")
    if unseen:
        shown = ", ".join(f"{one_line(label)} ({count:,})" for label, count in list(unseen.items())[:5])
        more = ", ..." if len(unseen) > 5 else ""
        notes.append(f"Labels that training never saw, which count as wrong: {shown}{more}")
    return notes


def _mean_loss(probabilities: np.ndarray, target: np.ndarray) -> float:
    """The mean -log p of the true labels; items of labels that training never saw are left out."""
    probabilities = np.clip(probabilities.astype(np.float64), 1e-12, 1)
    if target.ndim == 2:
        return float(-np.log(np.where(target > 0, probabilities, np.clip(1 - probabilities, 1e-12, 1))).mean())
    known = np.flatnonzero(target >= 0)
    return float(-np.log(probabilities[known, target[known]]).mean()) if len(known) else float("nan")


def _reliability(probabilities: np.ndarray, target: np.ndarray) -> Reliability:
    """Of the label predicted; of multi-label items, of every label's probability."""
    if target.ndim == 2:
        return reliability(probabilities.ravel(), target.ravel() > 0)
    return reliability(probabilities.max(1), probabilities.argmax(1) == target)


def _curve(curve: Reliability) -> dict[str, list[float]]:
    return {name: getattr(curve, name).tolist() for name in ("confidence", "accuracy", "counts")}
