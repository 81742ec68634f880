"""Train, evaluate, predict and explain in a run folder: what the command line calls, each returning what to print."""

from pathlib import Path

import numpy as np

from recurra.data.labelled.texts import LabelledTexts
from recurra.errors import ParameterError
from recurra.files import prepare_folder, write_text
from recurra.tasks.classify.classifier import Classifier, Evaluation
from recurra.tasks.classify.encoding import SeriesEncoding
from recurra.tasks.classify.explain import Explanation
from recurra.tasks.classify.given import Items, Reading, as_items, split, take, values_of
from recurra.tasks.classify.highlight import colored_text, contribution_lines, explanation_page
from recurra.tasks.classify.labels import LabelSet
from recurra.tasks.classify.pictures import (
    draw_confusion,
    draw_early_decision,
    draw_reliability,
    draw_series_explanation,
)
from recurra.tasks.classify.settings import ClassifySettings
from recurra.tasks.classify.tables import evaluation_table, prediction_csv, write_evaluation
from recurra.text_table import one_line
from recurra.training import processes
from recurra.training.picture import draw_training

__all__ = ["evaluate", "explain", "predict", "predict_text", "train"]


def train(
    data: str,
    settings: ClassifySettings,
    folder: Path,
    valid: str | None = None,
    reading: Reading | None = None,
    vectors: str | None = None,
    resume: bool = False,
    tensorboard: bool = False,
) -> str:
    """Train a classifier into a run folder.

    Args:
        data: a file of labelled texts or series.
        settings: of the classifier.
        folder: of the run.
        valid: a file to choose the best weights and to calibrate by.
        reading: how both are read.
        vectors: a file of pretrained word vectors.
        resume: go on with the run in the folder.
        tensorboard: also log to TensorBoard.
    """
    reading = reading or Reading()
    items = as_items(data, reading=reading)
    held_out = None if valid is None else as_items(valid, reading=reading, texts=isinstance(items, LabelledTexts))
    print(_describe(items, held_out, settings), flush=True)
    classifier = Classifier.from_settings(settings)
    classifier.fit(items, None, held_out, reading, vectors, folder, resume, tensorboard)
    result, model = classifier.training_result, classifier.model
    assert result is not None
    measure = {"loss": "loss in nats", "macro_f1": "macro F1"}.get(settings.choose_by, "accuracy")
    if measure == "accuracy" and model.labels.several:
        measure = "micro F1"
    if processes().is_first:
        draw_training(
            folder / "log.csv",
            folder / "training.png",
            loss="nats",
            training="training loss",
            validation=f"validation: {measure if settings.choose_by == 'loss' else f'1 - {measure}'}",
            twin=True,
        )
    chosen = ""
    if np.isfinite(result.best_loss):
        best = f"{result.best_loss:.4f}" if settings.choose_by == "loss" else f"{100 * (1 - result.best_loss):.2f}"
        chosen = f", validation {measure} {best} at step {result.best_step}, temperature {model.temperature:.2f}"
    ending = " (no better for a while)" if result.stopped_early else ""
    return (
        f"trained {result.steps} steps in {result.seconds:.0f} s{ending}{chosen}\n"
        f"the run is in {folder}; next: recurra evaluate {folder} --data FILE"
    )


def evaluate(folder: Path, data: str, reading: Reading | None = None, out: Path | None = None) -> str:
    """Evaluate a run on a file of labelled items; write tables and pictures.

    Args:
        folder: of the run.
        data: the file.
        reading: how it is read, where not as in training.
        out: where tables and pictures go; `evaluation` in the run where None.
    """
    evaluation = Classifier.load(folder).evaluate(data, reading=reading)
    target = folder / "evaluation" if out is None else out
    write_evaluation(evaluation, target)
    if evaluation.model.confusion is not None:
        draw_confusion(evaluation.model.labels, evaluation.model.confusion, target / "confusion.png")
    draw_reliability(evaluation, target / "reliability.png")
    draw_early_decision(evaluation, target / "early_decision.png")
    return _told(evaluation, target)


def predict(
    folder: Path,
    data: str,
    out: Path | None = None,
    reading: Reading | None = None,
    probabilities: bool = False,
) -> str:
    """Classify the items of a file, and write a table of their labels.

    Args:
        folder: of the run.
        data: the file, with labels or without.
        out: the CSV file to write; `predictions/NAME.csv` in the run where None.
        reading: how the file is read, where not as in training.
        probabilities: also write the probability of every label.
    """
    classifier = Classifier.load(folder)
    name = Path(data).name.removesuffix(".gz")
    target = folder / "predictions" / f"{name.rpartition('.')[0] or name}.csv" if out is None else out
    if target.exists() and Path(data).exists() and target.samefile(data):
        raise ParameterError("out", "another file than the data", str(target))
    run_reading = reading or classifier.reading
    items = as_items(data, None, run_reading, classifier.model.reads_texts, needs_labels=False)
    found = classifier.predict(items)
    texts = isinstance(items, LabelledTexts)
    names = items.texts if texts else items.ids
    prepare_folder(target.parent)
    table = prediction_csv(names, "text" if texts else "id", found, run_reading.label_separator or "|", probabilities)
    write_text(target, table)
    certain = float(np.mean([one.confidence for one in found]))
    return f"{len(found):,} {'texts' if texts else 'series'}, mean confidence {certain:.3f}: {target}"


def predict_text(folder: Path, text: str) -> str:
    """The labels of a text, likeliest first, with their probabilities."""
    classifier = Classifier.load(folder)
    if not classifier.model.reads_texts:
        raise ParameterError("text", "--data FILE for a run that reads series", text)
    (found,) = classifier.predict([text])
    ordered = sorted(found.probabilities.items(), key=lambda item: -item[1])[:10]
    shown = [one_line(label) for label, _ in ordered]
    width = max(map(len, shown))
    return "\n".join(
        f"{'*' if label in found.labels else ' '} {name.ljust(width)}  {100 * share:5.1f} %"
        for name, (label, share) in zip(shown, ordered, strict=True)
    )


def explain(
    folder: Path,
    text: str | None = None,
    data: str | None = None,
    row: int = 1,
    label: str | None = None,
    color: bool = False,
    out: Path | None = None,
    reading: Reading | None = None,
) -> str:
    """What each token of a text, or step of a series, adds to a label; written as a page or a picture.

    Args:
        folder: of the run.
        text: to explain.
        data: a file with the text or series, where no text is given.
        row: of the file, which item, from 1.
        label: which; the likeliest where None.
        color: show the text in the colours of a terminal.
        out: the page (.html) of a text, or the picture (.png) of a series; `explanation` in the run where None.
        reading: how the file is read, where not as in training.
    """
    classifier = Classifier.load(folder)
    texts = classifier.model.reads_texts
    if (text is None) == (data is None):
        raise ParameterError("text", "--text or --data, one of the two", None if text is None else "both")
    if text is not None and not texts:
        raise ParameterError("text", "--data FILE and --row N for a run that reads series", text)
    ending = ".html" if texts else ".png"
    target = folder / f"explanation{ending}" if out is None else out
    if target.suffix != ending:
        raise ParameterError("out", f"a file ending in {ending}", str(target))
    if data is not None:
        items = as_items(data, None, reading or classifier.reading, texts, needs_labels=False)
        if not 1 <= row <= len(items):
            raise ParameterError("row", f"a number from 1 to {len(items)}, the items of {data}", row)
        found = classifier.explain(values_of(take(items, [row - 1]))[0], label)
    else:
        found = classifier.explain(text, label)
    prepare_folder(target.parent)
    if texts:
        title = f"{' '.join((found.text or '').split())[:60]} ({folder.resolve().name})"
        write_text(target, explanation_page(found, title))
    else:
        assert isinstance(classifier.model.encoding, SeriesEncoding)
        draw_series_explanation(found, classifier.model.encoding.channels, target)
    compared = "a text of unknown words"
    if not texts:
        normalized = classifier.settings.normalization != "none"
        compared = f"a series of nothing but {'means' if normalized else 'zeros'}"
    return _explained(found, compared, color, target)


def _explained(found: Explanation, compared: str, color: bool, target: Path) -> str:
    lines = [f"{one_line(found.label)}, probability {100 * found.probability:.1f} %"]
    if found.text is not None:
        if color:
            lines += ["", colored_text(found)]
        lines += ["", "what tokens add to its log-odds:", *contribution_lines(found)]
    else:
        steps = found.contributions.sum(1)
        kept = np.sort(np.argsort(-np.abs(steps), kind="stable")[:10])
        told = ", ".join(f"{k + 1} ({steps[k]:+.2f})" for k in kept)
        lines.append(f"steps that add most to its log-odds, of {len(steps)}: {told}")
    lines += [
        "",
        f"log-odds {found.log_odds:+.2f}, of {compared} {found.baseline_log_odds:+.2f}; unexplained "
        f"{round(found.residual, 2) + 0.0:+.2f}",
        f"{'page' if found.text is not None else 'picture'}: {target}",
    ]
    return "\n".join(lines)


def _told(evaluation: Evaluation, target: Path) -> str:
    early = evaluation.early
    best = early[max(early)]
    enough = next((share for share, value in early.items() if value >= 0.95 * best), 1.0)
    measure = "micro F1" if evaluation.several else "accuracy"
    before, after = (one.expected_calibration_error for one in (evaluation.before, evaluation.after))
    lines = [
        f"{evaluation.source}: {evaluation.model.items:,} items, in percent:",
        "",
        evaluation_table(evaluation),
        "",
        f"loss {evaluation.loss:.4f} nats; confidence is off by {100 * after:.1f} points, {100 * before:.1f} without "
        f"the temperature of {evaluation.temperature:.2f}",
        f"95 % of the {measure} is there when {100 * enough:.0f} % of each item is read",
    ]
    if evaluation.unseen_labels:
        shown = ", ".join(f"{one_line(label)} ({count})" for label, count in list(evaluation.unseen_labels.items())[:5])
        more = ", ..." if len(evaluation.unseen_labels) > 5 else ""
        lines.append(f"labels that training never saw, counted as wrong: {shown}{more}")
    lines.append(f"tables and pictures: {target}")
    return "\n".join(lines)


def _describe(items: Items, valid: Items | None, settings: ClassifySettings) -> str:
    assert items.labels is not None
    labels = LabelSet.of(items.labels, items.source)
    kind = "texts"
    if not isinstance(items, LabelledTexts):
        lengths = [len(one) for one in items.series]
        steps = f"{min(lengths)}" if min(lengths) == max(lengths) else f"{min(lengths)} to {max(lengths)}"
        kind = f"series of {len(items.channels)} channels and {steps} steps"
    counted = list(zip(labels.names.symbols, labels.counts, strict=True))[:6]
    shown = ", ".join(f"{one_line(name)} ({count:,})" for name, count in counted)
    more = ", ..." if len(labels) > 6 else ""
    several = ", several an item" if labels.several else ""
    checked = "validated on none"
    if valid is not None:
        checked = f"validated on {len(valid):,}"
    elif (held_out := split(items, settings.validation_share, settings.seed)[1]) is not None:
        checked = f"validated on {len(held_out):,} of them"
    return f"{len(items):,} {kind}, {len(labels)} labels{several}: {shown}{more}; {checked}"
