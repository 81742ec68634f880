"""Predictions and evaluations of a classifier as results: text, tables, pictures."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from recurra.data.labelled.items import Items, values_of
from recurra.data.labelled.texts import LabelledTexts
from recurra.files import prepare_folder, write_atomically, write_text
from recurra.inspection.pictures.style import drawable
from recurra.task import Evaluation, Predictions
from recurra.task.reliability import BINS, Reliability, reliability
from recurra.task.results import Table
from recurra.tasks.classify.learned import LabelSet
from recurra.tasks.classify.network import FittedClassifier, logits_of, probabilities_of
from recurra.tasks.classify.scores import Scores, score
from recurra.text_table import one_line, percent, text_table

__all__ = [
    "Classes",
    "Prediction",
    "by_label_table",
    "confusion_table",
    "draw_confusion",
    "draw_early_decision",
    "draw_reliability",
    "evaluate",
    "predict",
    "shown_names",
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
_BLUE, _GREY = "#1f5fa8", "#8a8f98"
_MOST_PLOTTED = 60
_MOST_COUNTED = 12  # labels, up to which a cell also has its count
_LONGEST_NAME = 24


@dataclass(frozen=True)
class Prediction:
    """The prediction for an item.

    Attributes:
        labels: one, or any number of a multi-label item; of the type that training's labels had.
        probabilities: of every label, calibrated.
    """

    labels: tuple[Any, ...]
    probabilities: Mapping[Any, float]

    @property
    def confidence(self) -> float:
        """The probability of the label; of a multi-label item, that of the least confident decision."""
        # If labels exclude each other, the decision for the label itself is the least confident one.
        return min(p if name in self.labels else 1 - p for name, p in self.probabilities.items())


class Classes(Predictions[Any], Sequence[Prediction]):
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
        self._separator, self._path = separator, path
        self._with_probabilities, self._shown = with_probabilities, shown
        self.streams = shown == "table"
        self._values = [label_set.restore(name) for name in label_set.names.symbols]
        self.probabilities = probabilities

    @property
    def labels(self) -> list[tuple[Any, ...]]:
        """The labels of each item."""
        return [tuple(map(self._label_set.restore, names)) for names in self.names()]

    @property
    def values(self) -> Any:
        """The label of each item as an array (N,); of multi-label items a list of tuples."""
        return self.labels if self._label_set.multi_label else np.array([label for (label,) in self.labels])

    @property
    def confidence(self) -> np.ndarray:
        """The confidence in each item's labels (N,); see `Prediction.confidence`."""
        if self._label_set.multi_label:
            return np.maximum(self.probabilities, 1 - self.probabilities).min(1)
        return self.probabilities.max(1)

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[k] for k in range(*index.indices(len(self)))]
        labels = map(self._label_set.restore, self._label_set.decode(self.probabilities[index][np.newaxis])[0])
        return Prediction(tuple(labels), dict(zip(self._values, self.probabilities[index].tolist(), strict=True)))

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

    def write(self, path: str | Path) -> list[Path]:
        """Write the table as CSV; see `Result.write`."""
        target = Path(path)
        prepare_folder(target.parent)
        write_text(target, self.table().csv())
        return [target]

    def default_path(self, folder: Path) -> Path | None:
        if self._path is None:
            return None
        name = self._path.name.removesuffix(".gz")
        return folder / "predictions" / f"{name.rpartition('.')[0] or name}.csv"

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
    learned.check_number(items)
    names, multi_label = labels.names.symbols, labels.multi_label
    encoded = learned.encode(values, items.source)
    logits = logits_of(fitted, encoded)
    probabilities = learned.probabilities(logits)
    target = labels.encode(items.labels).numpy()
    predicted = {"model": labels.decode(probabilities), **learned.baselines(values)}
    methods = {name: score(items.labels, one, names, multi_label) for name, one in predicted.items()}
    loss = _mean_loss(probabilities, target)
    before, after = _reliability(labels.probabilities(logits), target), _reliability(probabilities, target)
    early = {}
    for fraction in _FRACTIONS:
        decided = labels.decode(probabilities_of(fitted, encoded.beginnings(fraction)))
        early[fraction] = score(items.labels, decided, names, multi_label).overall.f1
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


def doubts(scores: Scores) -> list[str]:
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


def by_label_table(methods: Mapping[str, Scores]) -> Table:
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


def confusion_table(scores: Scores) -> Table:
    """True labels by predicted labels. The scores have a confusion matrix."""
    assert scores.confusion is not None
    rows = [[name, *row] for name, row in zip(scores.labels, scores.confusion.tolist(), strict=True)]
    return Table(("true \\ predicted", *scores.labels), rows)


def draw_confusion(labels: tuple[str, ...], confusion: np.ndarray, path: Path) -> None:
    """Draw which labels are confused with which, in fractions of the true label's items, into a PNG file.

    Args:
        labels: K; beyond 60 the most frequent are plotted. Labels that the font lacks are shown by their index, from 1.
        confusion: (K, K), true label by predicted label.
        path: of the file.
    """
    plotted = np.sort(np.argsort(-confusion.sum(1), kind="stable")[:_MOST_PLOTTED])
    shown = confusion[np.ix_(plotted, plotted)]
    names = shown_names([labels[k] for k in plotted], [f"label {k + 1}" for k in plotted])
    totals = confusion[plotted].sum(1, keepdims=True)
    fractions = shown / np.maximum(totals, 1)
    size = 2.4 + (0.6 if len(plotted) <= _MOST_COUNTED else 0.42) * len(plotted)
    figure = Figure(figsize=(size + 1.1, size), layout="constrained")
    ax = figure.subplots()
    image = ax.imshow(fractions, cmap="Blues", vmin=0, vmax=1)
    if len(plotted) <= 25:
        for row, column in zip(*np.nonzero(shown), strict=True):
            color = "white" if fractions[row, column] > 0.6 else "black"
            percent = f"{100 * fractions[row, column]:.0f} %"
            text = f"{percent}\n{shown[row, column]:,}" if len(plotted) <= _MOST_COUNTED else percent.removesuffix(" %")
            ax.text(column, row, text, ha="center", va="center", fontsize=7.5, color=color)
    crowded = max(map(len, names)) > 3
    # A dollar sign would begin a formula.
    ax.set_xticks(
        *(range(len(plotted)), names),
        rotation=60 if crowded else 0,
        ha="right" if crowded else "center",
        rotation_mode="anchor",
        parse_math=False,
    )
    ax.set_yticks(range(len(plotted)), names, parse_math=False)
    ax.tick_params(length=0, labelsize=9)
    ax.set_xlabel("predicted label")
    ax.set_ylabel("true label")
    bar = figure.colorbar(image, ax=ax, shrink=0.7, label="fraction of the true label's items, %")
    bar.set_ticks([0, 0.5, 1], labels=["0", "50", "100"])
    ax.spines[:].set_visible(False)
    _save(figure, path)


def draw_reliability(
    before: Reliability, after: Reliability, temperature: float, multi_label: bool, path: Path
) -> None:
    """Draw how often predictions came true, by their confidence, into a PNG file.

    Args:
        before: without the temperature.
        after: with it.
        temperature: the value.
        multi_label: whether every label's probability is a point.
        path: of the file.
    """
    figure = Figure(figsize=(5.2, 5.6), layout="constrained")
    ax, below = figure.subplots(2, 1, height_ratios=(4, 1), sharex=True)
    ax.plot([0, 1], [0, 1], color=_GREY, linewidth=0.9, linestyle="--", label="calibrated")
    for curve, color, name in ((before, _GREY, "as trained"), (after, _BLUE, f"temperature {temperature:.2f}")):
        label = f"{name}: off by {100 * curve.expected_calibration_error:.1f} points"
        ax.plot(curve.confidence, curve.accuracy, color=color, marker="o", markersize=4, linewidth=1.5, label=label)
    ax.set_ylabel("fraction that came true")
    ax.set_ylim(0, 1.02)
    ax.legend(frameon=False, loc="lower right", fontsize=9)
    _bars(below, after, "decisions" if multi_label else "items")
    for one in (ax, below):
        one.spines[["top", "right"]].set_visible(False)
    below.set_xlabel("probability predicted" if multi_label else "confidence in the label")
    below.set_xlim(0, 1.02)
    _save(figure, path)


def draw_early_decision(early: Mapping[float, float], scores: Scores, multi_label: bool, path: Path) -> None:
    """Draw how accuracy grows with the fraction of each item that was read, into a PNG file.

    Args:
        early: accuracy (micro F1 of multi-label items) by fraction.
        scores: of the whole items.
        multi_label: whether items have any number of labels.
        path: of the file.
    """
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    ax = figure.subplots()
    percents = [100 * fraction for fraction in early]
    ax.plot(percents, [100 * value for value in early.values()], color=_BLUE, marker="o", markersize=4)
    if not multi_label:
        guess = 100 * max(label.true for label in scores.by_label.values()) / scores.items
        ax.axhline(guess, color=_GREY, linewidth=0.9, linestyle="--")
        ax.annotate("most frequent label", (100, guess), (0, 3), textcoords="offset points", ha="right", color=_GREY)
    ax.set_xlabel("fraction of each item read, from its beginning, %")
    ax.set_ylabel("micro F1, %" if multi_label else "accuracy, %")
    ax.set_xticks(percents)
    ax.spines[["top", "right"]].set_visible(False)
    _save(figure, path)


def _measures(scores: Scores, multi_label: bool) -> dict[str, float]:
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


def _bars(ax: Axes, curve: Reliability, what: str) -> None:
    ax.bar(curve.confidence, curve.counts, width=0.06, color=_BLUE)
    ax.set_ylabel(what)
    ax.yaxis.set_major_locator(MaxNLocator(3, integer=True))


def shown_names(names: Sequence[str], others: Sequence[str]) -> list[str]:
    """Names as a picture can hold them, and the others for those with characters that the font lacks."""
    shown = [one_line(name, _LONGEST_NAME) for name in names]
    return [name if drawable([name]) else other for name, other in zip(shown, others, strict=True)]


def _save(figure: Figure, path: Path) -> None:
    write_atomically(path, lambda aside: figure.savefig(aside, format="png", dpi=120))
