"""How a classifier of videos is trained: batches, loss, validation, temperature."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from recurra.data.batches.batch import Batch
from recurra.data.batches.buckets import Buckets, collate
from recurra.data.batches.prefetched import Prefetched
from recurra.data.labelled.series_encoding import Steps
from recurra.data.video.augmentation import rotated, stretch_of
from recurra.data.video.clips import Clips
from recurra.data.video.features import LandmarkFeatures
from recurra.data.video.frames import Frames, FrameSteps, varied
from recurra.data.video.landmarks import Landmarks
from recurra.errors import ParameterError
from recurra.task import Objective
from recurra.task.label_objective import accuracy_in_words, label_validation, temperature_of
from recurra.tasks.video.learned import VideoLearned, label_rows
from recurra.tasks.video.network import FittedVideo, logits_of
from recurra.training import processes

if TYPE_CHECKING:
    from recurra.tasks.video.video_classifier import VideoClassifier

__all__ = ["calibrated", "make_objective"]


def make_objective(
    classifier: "VideoClassifier", fitted: FittedVideo, training: Clips, validation: Clips | None
) -> Objective:
    """Batches, loss and validation.

    Args:
        classifier: its options.
        fitted: what is to be trained.
        training: clips with labels.
        validation: clips to choose the best weights by. None: the last weights are used.

    Raises:
        ParameterError: a batch has fewer clips than there are processes.
    """
    partition, learned = processes().partition, fitted.learned
    if classifier.batch_size < partition.count:
        expected = f"at least the number of processes, {partition.count}"
        raise ParameterError("batch_size", expected, classifier.batch_size)
    clips = _ClipSource(classifier, learned, training)
    buckets = Buckets(clips.lengths, classifier.batch_size, seed=classifier.seed, partition=partition)
    targets = learned.labels.encode(label_rows(training))

    def batch(step: int) -> Batch:
        rows = buckets(step)
        weight = float(len(rows))
        if not weight:
            # There are more processes than clips left: this one takes any, because all must make the step.
            rows = np.array([0])
        steps = clips.batch(rows, buckets.epoch_of(step))
        if isinstance(steps, Steps):
            generator = np.random.default_rng([classifier.seed, step, partition.rank, 1])
            steps = steps.varied(classifier.jitter, 0.0, generator)
        return Batch(steps.to(fitted.device), targets[rows].to(fitted.device), weight)

    validate, baselines = None, {}
    if validation is not None:
        encoded, validation_features = learned.encode(validation)
        validate, baselines = label_validation(
            learned.labels,
            label_rows(validation),
            lambda network: logits_of(fitted, encoded, network),
            learned.baselines(validation_features),
        )
    smoothing = classifier.label_smoothing
    return Objective(
        Prefetched(batch),
        lambda logits, target: F.cross_entropy(logits, target, label_smoothing=smoothing),
        validate,
        record={"padding_fraction": round(buckets.padding_fraction, 4)},
        steps_per_epoch=buckets.steps_per_epoch,
        unit="nats",
        measure="accuracy",
        baselines=baselines,
        words=lambda loss: accuracy_in_words(loss, fitted.learned.temperature),
    )


class _ClipSource:
    """Training clips as an epoch varies them, a function of the seed, the epoch and the row alone."""

    def __init__(self, classifier: "VideoClassifier", learned: VideoLearned, training: Clips) -> None:
        self._classifier, self._learned, self._training = classifier, learned, training
        self._frames: list[np.ndarray] = []
        if isinstance(learned.features, Frames):
            self._frames = learned.features.read(training.videos)
            most = self._steps or max(map(len, self._frames))
            self.lengths = [min(len(one), most) for one in self._frames]
        else:
            self.lengths = [learned.features.frames(one.seconds) for one in training.landmarks]

    def batch(self, rows: np.ndarray, epoch: int) -> Steps | FrameSteps:
        """The clips of some rows."""
        if self._frames:
            return FrameSteps.of([self._varied(int(row), epoch) for row in rows])
        return Steps(*collate([self._encoded(int(row), epoch) for row in rows]))

    @property
    def _steps(self) -> int:
        seconds = self._classifier.clip_seconds
        return max(round(seconds * self._learned.features.rate), 1) if seconds else 0

    def _varied(self, row: int, epoch: int) -> np.ndarray:
        generator = np.random.default_rng([self._classifier.seed, epoch, row])
        stretch = stretch_of(self._classifier, generator)
        return varied(self._frames[row], self._classifier, self._steps, stretch, generator)

    def _encoded(self, row: int, epoch: int) -> torch.Tensor:
        content, make = self._training[row].content, self._learned.features
        assert isinstance(content, Landmarks)
        assert isinstance(make, LandmarkFeatures)
        generator = np.random.default_rng([self._classifier.seed, epoch, row])
        landmarks = rotated(content, self._classifier, generator)
        return self._learned.encoding.encode(make(landmarks, stretch_of(self._classifier, generator)))


def calibrated(fitted: FittedVideo, validation: Clips | None) -> VideoLearned:
    """What was learned, with the temperature that fits validation data best; without validation data unchanged."""
    learned = fitted.learned
    if validation is None:
        return learned
    logits = logits_of(fitted, learned.encode(validation)[0])
    return replace(learned, temperature=temperature_of(learned.labels, label_rows(validation), logits))
