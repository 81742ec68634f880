"""How predicted labels compare with known ones, alike in every task that classifies."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from recurra.data.labelled.label_set import LabelSet
from recurra.data.labelled.labels import Labels
from recurra.task.label_pictures import draw_confusion, draw_early_decision, draw_reliability
from recurra.task.reliability import BINS, Reliability, reliability
from recurra.task.results import Evaluation, Table
from recurra.text_table import counted, one_line, percent, text_table
from recurra.training.label_scores import LabelScores, score_labels

__all__ = ["FRACTIONS", "beginning_lengths", "by_label_table", "confusion_table", "doubts", "evaluate_labels"]

_ONE_LABEL = (
    "The model answers {label} to every item, which is right for {accuracy} % of them. Train it longer, on more data, "
    "or with another learning rate."
)
_AT_CHANCE = (
    "The model is at chance: its accuracy is {accuracy} %, and answering {label} to every item gives {guess} %. Train "
    "it longer, on more data, or with another learning rate."
)
FRACTIONS = tuple(k / 10 for k in range(1, 11))
"""Of each item, at whose ends an evaluation says how well a decision could be made already."""
_MOST_LABELS = 30  # in a table


def evaluate_labels(
    source: str,
    references: Sequence[Labels],
    labels: LabelSet,
    logits: np.ndarray,
    temperature: float,
    baselines: Mapping[str, Sequence[Labels]],
    early: Mapping[float, Sequence[Labels]],
) -> Evaluation:
    """Compare predicted labels with known ones: scores, calibration, confusion, early decision.

    Args:
        source: of the items, for the title.
        references: the labels of each item (N,).
        labels: of the model.
        logits: of the model (N, K), without the temperature.
        temperature: that logits are divided by.
        baselines: the labels that simple methods predict, by name.
        early: the labels that the model predicts from the beginning of each item, by the fraction of it that is read;
            none: there is no such decision.
    """
    names, multi_label = labels.names.symbols, labels.multi_label
    probabilities = labels.probabilities(logits / temperature)
    target = labels.encode(references).numpy()
    predicted = {"model": labels.decode(probabilities), **baselines}
    methods = {name: score_labels(references, one, names, multi_label) for name, one in predicted.items()}
    loss = _mean_loss(probabilities, target)
    before, after = _reliability(labels.probabilities(logits), target), _reliability(probabilities, target)
    decided = {
        fraction: score_labels(references, one, names, multi_label).overall.f1 for fraction, one in early.items()
    }
    unseen = labels.unseen(references)
    model = methods["model"]
    warnings = [] if multi_label else doubts(model)
    tables = {"by_label": by_label_table(methods)}
    pictures: dict[str, Any] = {}
    if model.confusion is not None:
        tables["confusion"] = confusion_table(model)
        pictures["confusion"] = partial(draw_confusion, model.labels, model.confusion)
    pictures["reliability"] = partial(
        draw_reliability,
        before,
        after,
        name=f"temperature {temperature:.2f}",
        items="decisions" if multi_label else "items",
        predicted="probability predicted" if multi_label else "confidence in the label",
    )
    if decided:
        pictures["early_decision"] = partial(draw_early_decision, decided, model, multi_label)
    return Evaluation(
        f"{source}: {len(references):,} items",
        {name: _measures(one, multi_label) for name, one in methods.items()},
        "accuracy",
        tables=tables,
        notes=_notes(loss, before, after, temperature, {} if warnings else decided, multi_label, unseen),
        warnings=warnings,
        facts={
            "source": source,
            "items": len(references),
            "loss_nats": None if math.isnan(loss) else loss,
            "temperature": temperature,
            "expected_calibration_error": {
                "as_trained": before.expected_calibration_error,
                "with_temperature": after.expected_calibration_error,
            },
            "reliability": {"as_trained": _curve(before), "with_temperature": _curve(after)},
            "early_decision": {f"{fraction:g}": value for fraction, value in decided.items()},
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
    if early and early[max(early)] > 0:
        enough = next((fraction for fraction, value in early.items() if value >= 0.95 * early[max(early)]), 1.0)
        measure = "micro F1" if multi_label else "accuracy"
        notes.append(f"95 % of the {measure} is reached once {100 * enough:.0f} % of each item is read.")
    if unseen:
        notes.append(f"Labels that training never saw, which count as wrong: {counted(unseen, 5)}")
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
