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

__all__ = ["evaluate", "predict", "watch"]


def predict(fitted: FittedVideo, clips: Clips, path: Path | None, with_probabilities: bool) -> Classes:
    """Classify clips, with labels or without; the arguments are those of `Classes`."""
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
    """Watch a video; see `VideoClassifier.predictions`."""
    if len(clips) != 1 or not clips.videos:
        raise ParameterError("data", "one video to watch (--every)", f"{len(clips)} clips of {clips.source}")
    if window is None:
        learned = fitted.learned
        window = learned.encoding.longest / learned.features.rate
    return Watched(fitted, clips.videos[0], every, window, begin, end)


def evaluate(fitted: FittedVideo, clips: Clips) -> Evaluation:
    """Compare predictions with known labels; see `VideoClassifier.evaluate`."""
    learned = fitted.learned
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
