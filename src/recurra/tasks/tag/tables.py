"""Evaluations as text, CSV and JSON."""

import csv
import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from recurra.files import prepare_folder, write_text
from recurra.tasks.tag.metrics import Scores
from recurra.tasks.tag.tagger import Evaluation
from recurra.text_table import percent, text_table
from recurra.training.counts import Counts

__all__ = ["evaluation_table", "write_evaluation"]

_BASELINE = "most frequent tag of each word"


def evaluation_table(evaluation: Evaluation) -> str:
    """Overall scores beside the baseline's, then those by type or tag of the model, a line each."""
    model, baseline = evaluation.model, evaluation.baseline
    lines = [["", "precision", "recall", "F1", "accuracy"]] if model.overall else [["", "accuracy"]]
    for name, scores in (("model", model), (_BASELINE, baseline)):
        lines.append([name, *(_cells(scores.overall) if scores.overall else []), percent(scores.accuracy)])
    what = "type" if model.overall else "tag"
    by_tag = [[what, "precision", "recall", "F1", "number"]]
    by_tag += [[name, *_cells(counts), f"{counts.true:,}"] for name, counts in model.by_tag.items()]
    return f"{text_table(lines)}\n\n{text_table(by_tag)}"


def write_evaluation(evaluation: Evaluation, folder: Path) -> None:
    """Write `evaluation.json`, and `by_tag.csv` with the scores of both by type or tag.

    Raises:
        RunError: where the folder cannot be written.
    """
    prepare_folder(folder)
    values = {
        **{name: value for name, value in asdict(evaluation).items() if name not in ("model", "baseline")},
        "model": _json(evaluation.model),
        "baseline": _json(evaluation.baseline),
    }
    write_text(folder / "evaluation.json", json.dumps(values, indent=1, ensure_ascii=False) + "\n")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["tag", "method", "precision", "recall", "f1", "true", "predicted", "right"])
    for method, scores in (("model", evaluation.model), ("baseline", evaluation.baseline)):
        for name, counts in scores.by_tag.items():
            measures = [f"{value:.6g}" for value in (counts.precision, counts.recall, counts.f1)]
            writer.writerow([name, method, *measures, counts.true, counts.predicted, counts.right])
    write_text(folder / "by_tag.csv", text.getvalue())


def _json(scores: Scores) -> dict[str, Any]:
    found: dict[str, Any] = {"words": scores.words, "accuracy": scores.accuracy}
    if scores.overall is not None:
        counts = scores.overall
        found |= {"precision": counts.precision, "recall": counts.recall, "f1": counts.f1, "entities": counts.true}
    return found


def _cells(counts: Counts) -> list[str]:
    return [percent(value) for value in (counts.precision, counts.recall, counts.f1)]
