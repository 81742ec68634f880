"""Predictions and evaluations of a classifier of videos."""

from pathlib import Path

from recurra.data.video.clips import Clips
from recurra.errors import ParameterError
from recurra.task import Evaluation
from recurra.task.classes import Classes
from recurra.task.label_evaluation import FRACTIONS, evaluate_labels
from recurra.tasks.video.learned import label_rows
from recurra.tasks.video.live import Watched
from recurra.tasks.video.network import FittedVideo, logits_of
from recurra.tasks.video.segments import Spans, evaluate_frames, predict_frames

__all__ = ["evaluate", "predict", "watch"]


def predict(fitted: FittedVideo, clips: Clips, path: Path | None, with_probabilities: bool) -> Classes | Spans:
    """Classify clips, with labels or without; the arguments are those of `Classes`.

    Raises:
        ParameterError: a table of the probabilities of clips is asked of a classifier of frames.
    """
    if fitted.learned.background is not None:
        if with_probabilities:
            raise ParameterError("probabilities", "false of a run that labels every frame", with_probabilities)
        return predict_frames(fitted, clips, path)
    encoded, _ = fitted.learned.encode(clips)
    return Classes(
        [one.id for one in clips],
        fitted.learned.labels,
        fitted.learned.probabilities(logits_of(fitted, encoded)),
        kind="clip",
        path=None if len(clips) == 1 else path,
        with_probabilities=with_probabilities,
        shown="ranking" if len(clips) == 1 else "count",
    )


def watch(fitted: FittedVideo, clips: Clips, every: float, window: float | None, begin: float, end: float) -> Watched:
    """Watch a recording; see `VideoClassifier.predictions`."""
    if len(clips) != 1:
        raise ParameterError("data", "one recording to watch (--every)", f"{len(clips):,} of {clips.source}")
    if window is None:
        learned = fitted.learned
        window = learned.encoding.longest / learned.features.rate
    return Watched(fitted, clips[0], every, window, begin, end)


def evaluate(fitted: FittedVideo, clips: Clips) -> Evaluation:
    """Compare predictions with known labels; see `VideoClassifier.evaluate`."""
    learned = fitted.learned
    if learned.background is not None:
        return evaluate_frames(fitted, clips)
    encoded, features = learned.encode(clips)
    early = {}
    for fraction in FRACTIONS:
        beginnings, _ = learned.encode(clips, fraction)
        early[fraction] = learned.labels.decode(learned.probabilities(logits_of(fitted, beginnings)))
    return evaluate_labels(
        clips.source,
        label_rows(clips),
        learned.labels,
        logits_of(fitted, encoded),
        learned.temperature,
        learned.baselines(features),
        early,
    )
