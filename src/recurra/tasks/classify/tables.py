"""Evaluations and predictions as text, CSV and JSON."""

import csv
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recurra.files import prepare_folder, write_text
from recurra.tasks.classify.calibration import Reliability
from recurra.tasks.classify.classifier import Evaluation, Prediction
from recurra.tasks.classify.metrics import Scores
from recurra.text_table import one_line, percent, text_table

__all__ = ["evaluation_table", "prediction_csv", "write_evaluation"]

_MOST_LABELS = 30


def evaluation_table(evaluation: Evaluation) -> str:
    """Overall scores beside the baseline's, then those of each label, a line each, in percent."""
    several = evaluation.several
    names = ["all right", "micro F1", "macro F1"] if several else ["accuracy", "macro F1"]
    lines = [["", *names]]
    for name, scores in (("model", evaluation.model), (evaluation.baseline_name, evaluation.baseline)):
        micro = [scores.overall.f1] if several else []
        lines.append([name, *(percent(value) for value in (scores.accuracy, *micro, scores.macro_f1))])
    by_label = [["label", "precision", "recall", "F1", "items"]]
    for name, counts in list(evaluation.model.by_label.items())[:_MOST_LABELS]:
        measures = (counts.precision, counts.recall, counts.f1)
        by_label.append([one_line(name), *(percent(value) for value in measures), f"{counts.true:,}"])
    more = len(evaluation.model.by_label) - _MOST_LABELS
    rest = f"\n(and {more} more labels)" if more > 0 else ""
    return f"{text_table(lines)}\n\n{text_table(by_label)}{rest}"


def write_evaluation(evaluation: Evaluation, folder: Path) -> None:
    """Write `evaluation.json`, `by_label.csv` and, of one label an item, `confusion.csv`.

    Raises:
        RunError: where the folder cannot be written.
    """
    prepare_folder(folder)
    values = {
        "source": evaluation.source,
        "items": evaluation.model.items,
        "model": _json(evaluation.model),
        "baseline": {"name": evaluation.baseline_name, **_json(evaluation.baseline)},
        "loss_nats": None if math.isnan(evaluation.loss) else evaluation.loss,
        "temperature": evaluation.temperature,
        "expected_calibration_error": {
            "as_trained": evaluation.before.expected_calibration_error,
            "with_temperature": evaluation.after.expected_calibration_error,
        },
        "reliability": {"as_trained": _curve(evaluation.before), "with_temperature": _curve(evaluation.after)},
        "early_decision": {f"{share:g}": value for share, value in evaluation.early.items()},
        "unseen_labels": evaluation.unseen_labels,
    }
    write_text(folder / "evaluation.json", json.dumps(values, indent=1, ensure_ascii=False) + "\n")
    rows: list[list[Any]] = [["label", "method", "precision", "recall", "f1", "true", "predicted", "right"]]
    for method, scores in (("model", evaluation.model), ("baseline", evaluation.baseline)):
        for name, counts in scores.by_label.items():
            measures = [f"{value:.6g}" for value in (counts.precision, counts.recall, counts.f1)]
            rows.append([name, method, *measures, counts.true, counts.predicted, counts.right])
    write_text(folder / "by_label.csv", _csv(rows))
    confusion = evaluation.model.confusion
    if confusion is not None:
        labels = evaluation.model.labels
        table = [[name, *row] for name, row in zip(labels, confusion.tolist(), strict=True)]
        write_text(folder / "confusion.csv", _csv([["true \\ predicted", *labels], *table]))


def prediction_csv(
    names: Sequence[str], what: str, predictions: Sequence[Prediction], separator: str, probabilities: bool
) -> str:
    """A row an item: what it is called, its labels, the confidence, and with `probabilities` each label's.

    Args:
        names: of the items.
        what: the header of their column.
        predictions: of them.
        separator: between several labels.
        probabilities: whether to write those.
    """
    labels = list(predictions[0].probabilities) if predictions and probabilities else []
    rows: list[list[Any]] = [[what, "label", "confidence", *(f"p({label})" for label in labels)]]
    for name, found in zip(names, predictions, strict=True):
        shares = [f"{found.probabilities[label]:.6f}" for label in labels]
        rows.append([name, separator.join(found.labels), f"{found.confidence:.6f}", *shares])
    return _csv(rows)


def _json(scores: Scores) -> dict[str, Any]:
    return {"accuracy": scores.accuracy, "micro_f1": scores.overall.f1, "macro_f1": scores.macro_f1}


def _curve(curve: Reliability) -> dict[str, list[float]]:
    return {name: getattr(curve, name).tolist() for name in ("confidence", "accuracy", "counts")}


def _csv(rows: Sequence[Sequence[Any]]) -> str:
    lines = []
    for row in rows:
        line = io.StringIO()
        # Ended by both, so that a field with a lone carriage return is quoted.
        csv.writer(line, lineterminator="\r\n").writerow(row)
        lines.append(line.getvalue().removesuffix("\r\n") + "\n")
    return "".join(lines)
