"""How a classifier of videos is trained: batches, loss, validation, temperature."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from recurra.data.batches.batch import Batch
from recurra.data.batches.buckets import Buckets, collate
from recurra.data.batches.ignored import IGNORED
from recurra.data.batches.prefetched import Prefetched
from recurra.data.labelled.series_encoding import Steps
from recurra.data.video.augmentation import part_of, seen_aside, stretch_of
from recurra.data.video.clips import Clips
from recurra.data.video.features import LandmarkFeatures
from recurra.data.video.frames import Frames, FrameSteps, frames_of_part, varied
from recurra.data.video.landmarks import Landmarks
from recurra.errors import ParameterError
from recurra.models.image.frame_features import FrameFeatures
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

    def batch(step: int) -> Batch:
        rows = buckets(step)
        # There may be more processes than clips left: this one takes any, because all must make the step.
        steps, target = clips.batch(rows if len(rows) else np.array([0]), buckets.epoch_of(step))
        weight = float((target != IGNORED).sum()) if len(rows) else 0.0
        if isinstance(steps, Steps):
            generator = np.random.default_rng([classifier.seed, step, partition.rank, 1])
            steps = steps.varied(classifier.jitter, 0.0, generator)
        return Batch(steps.to(fitted.device), target.to(fitted.device), weight)

    validate, baselines = None, {}
    if validation is not None:
        encoded, validation_features = learned.encode(validation)
        validate, baselines = label_validation(
            learned.labels,
            learned.references(validation, encoded.lengths),
            lambda network: logits_of(fitted, encoded, network),
            learned.baselines(validation_features),
        )
    smoothing = classifier.label_smoothing
    return Objective(
        Prefetched(batch),
        lambda logits, target: F.cross_entropy(
            logits.flatten(0, -2), target.flatten(), ignore_index=IGNORED, label_smoothing=smoothing
        ),
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
        if isinstance(learned.features, LandmarkFeatures):
            lengths = [learned.features.frames(one.seconds) for one in training.landmarks]
        else:
            self._frames = learned.features.read(training.videos)
            lengths = list(map(len, self._frames))
        most = max(round(classifier.clip_seconds * learned.features.rate), 1) if classifier.clip_seconds else 0
        self._steps, self.lengths = most, [min(one, most or one) for one in lengths]
        self._targets = None if learned.background is not None else learned.labels.encode(label_rows(training))

    def batch(self, rows: np.ndarray, epoch: int) -> tuple[Steps | FrameSteps, torch.Tensor]:
        """The clips of some rows, and their labels (B,), or those of their frames (B, T), -100 beyond a clip's end."""
        clips = [self._varied(int(row), epoch) for row in rows]
        if isinstance(self._learned.features, LandmarkFeatures | FrameFeatures):
            steps = Steps(*collate([self._learned.encoding.encode(values) for values, _ in clips]))
        else:
            steps = FrameSteps.of([values for values, _ in clips])
        if self._targets is not None:
            return steps, self._targets[rows]
        targets = torch.full((len(rows), int(steps.lengths.max())), IGNORED)
        for k, (row, (_, times)) in enumerate(zip(rows, clips, strict=True)):
            labels = self._training[int(row)].labels_at(times, self._learned.background or "")
            targets[k, : len(labels)] = self._learned.labels.encode([(label,) for label in labels])
        return steps, targets

    def _varied(self, row: int, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """The frames of a clip, or their features before normalisation, and when they are in it, in seconds."""
        options, make = self._classifier, self._learned.features
        generator = np.random.default_rng([options.seed, epoch, row])
        content = self._training[row].content
        if not isinstance(make, LandmarkFeatures):
            stretch = stretch_of(options, generator)
            index = frames_of_part(len(self._frames[row]), self._steps, stretch, generator)
            frames = self._frames[row][index]
            return varied(frames, options, generator) if isinstance(make, Frames) else frames, index / make.rate
        assert isinstance(content, Landmarks)
        part, start = part_of(content, options.trim, options.clip_seconds, generator)
        stretch = stretch_of(options, generator)
        values = make(seen_aside(part, options, generator), stretch)
        return values, start + np.arange(len(values)) / (make.rate * stretch)


def calibrated(fitted: FittedVideo, validation: Clips | None) -> VideoLearned:
    """What was learned, with the temperature that fits validation data best; without validation data unchanged."""
    learned = fitted.learned
    if validation is None:
        return learned
    encoded, _ = learned.encode(validation)
    references = learned.references(validation, encoded.lengths)
    return replace(learned, temperature=temperature_of(learned.labels, references, logits_of(fitted, encoded)))
