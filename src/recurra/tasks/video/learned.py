"""What a classifier of videos learns from its training data without gradients."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from recurra.data.labelled.label_set import LabelSet
from recurra.errors import DataError
from recurra.task.learned import Learned
from recurra.task.series_network_options import MOST_MEMBERS
from recurra.text_table import counted

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from recurra.data.labelled.series_encoding import EncodedSeries, SeriesEncoding
    from recurra.data.video.clips import Clips
    from recurra.data.video.features import LandmarkFeatures
    from recurra.models.baselines.linear import LinearBaseline

__all__ = ["VideoLearned", "describe", "label_rows", "learn"]

_log = logging.getLogger("recurra.video")

_LABELS_DESCRIBED = 6


@dataclass(frozen=True)
class VideoLearned(Learned):
    """The values that a classifier of videos needs beside its weights.

    Attributes:
        features: of landmarks.
        encoding: their normalization.
        labels: the labels that the classifier distinguishes.
        baseline: the linear rule that the classifier has to beat.
        temperature: logits are divided by it.
    """

    features: "LandmarkFeatures"
    encoding: "SeriesEncoding"
    labels: LabelSet
    baseline: "LinearBaseline"
    temperature: float = 1.0

    def encode(self, clips: "Clips", fraction: float = 1.0) -> "tuple[EncodedSeries, list[np.ndarray]]":
        """The first `fraction` of clips, ready to be cut into batches, and their features (T, F) as they are.

        Raises:
            DataError: clips have other points or sensors than in training.
        """
        from recurra.data.labelled.series_encoding import EncodedSeries

        expected = (self.features.points, self.features.dimensions, self.features.channels)
        if clips.form != expected:
            names = ("points", "dimensions", "channels of sensors")
            trained = _words(names, expected)
            raise DataError(
                f"{clips.source}: {_words(names, clips.form)}, but the classifier was trained on {trained}."
            )
        features = [self.features(one.landmarks.beginning(fraction)) for one in clips]
        return EncodedSeries(self.encoding, features, clips.source), features

    def probabilities(self, logits: "np.ndarray") -> "np.ndarray":
        """Calibrated probabilities of labels (N, K)."""
        return self.labels.probabilities(logits / self.temperature)

    def baselines(self, features: "list[np.ndarray]") -> dict[str, list[tuple[str, ...]]]:
        """The labels that the baseline predicts from features, by its name."""
        return {self.baseline.name(False): self.baseline.predict(self.encoding, self.labels, features)}

    def check_validation(self, validation: "Clips") -> None:
        """Warn of labels that training never sees. Raises DataError: no label is one of training."""
        unseen = self.labels.unseen(label_rows(validation))
        if sum(unseen.values()) == len(validation):
            raise DataError(f"{validation.source}: no clip has a label of training; give validation data of its kind.")
        if unseen:
            message = "%s: labels that training never sees, which count as wrong: %s"
            _log.warning(message, validation.source, counted(unseen, 5))

    def to_json(self) -> dict[str, Any]:
        return {
            "features": self.features.to_json(),
            "encoding": self.encoding.to_json(),
            "labels": self.labels.to_json(),
            "temperature": self.temperature,
        }

    def tensors(self) -> "dict[str, Tensor]":
        return {"baseline.weight": self.baseline.weight, "baseline.bias": self.baseline.bias}

    @classmethod
    def from_json(cls, values: dict[str, Any], tensors: "dict[str, Tensor]") -> Self:
        from recurra.data.labelled.series_encoding import SeriesEncoding
        from recurra.data.video.features import LandmarkFeatures
        from recurra.models.baselines.linear import LinearBaseline

        return cls(
            LandmarkFeatures.from_json(values["features"]),
            SeriesEncoding.from_json(values["encoding"]),
            LabelSet.from_json(values["labels"]),
            LinearBaseline(tensors["baseline.weight"], tensors["baseline.bias"]),
            float(values["temperature"]),
        )

    def rows(self) -> dict[str, list[Any]]:
        labels = list(self.labels.names.symbols)
        networks = ["classifier", *(f"classifier.networks.{k}" for k in range(MOST_MEMBERS))]
        return {f"{one}.scores.{kind}": labels for one in networks for kind in ("weight", "bias")}


def label_rows(clips: "Clips") -> list[tuple[str]]:
    """The label of each clip, as a model takes it. Raises DataError: one has none."""
    return [(label,) for label in clips.labels]


def describe(training: "Clips", validation: "Clips | None") -> str:
    """One line about the clips; see `VideoClassifier.describe`."""
    labels = LabelSet.of(label_rows(training), training.source)
    seconds = sum(one.landmarks.seconds for one in training)
    points, dimensions, channels = training.form
    sensors = f" and {channels} channels of sensors" if channels else ""
    subjects = {one.subject for one in training} - {None}
    people = f", {len(subjects):,} subjects" if subjects else ""
    shown = counted(dict(zip(labels.names.symbols, labels.counts, strict=True)), _LABELS_DESCRIBED)
    validated = "no validation" if validation is None else f"validated on {len(validation):,}"
    what = f"{len(training):,} clips of {training.source}, {seconds / 60:,.1f} minutes{people}"
    form = f"{points:,} points in {dimensions} dimensions{sensors}"
    return f"{what}, {form}, {len(labels):,} labels: {shown}; {validated}"


def learn(options: Mapping[str, Any], training: "Clips", validation: "Clips | None") -> VideoLearned:
    """Learn from training clips.

    Args:
        options: of the classifier, by name.
        training: clips with labels.
        validation: clips whose labels are compared with those of training; None: there are none.

    Raises:
        DataError: there is nothing to learn, or validation data are of another kind.
    """
    import numpy as np

    from recurra.data.labelled.series_encoding import SeriesEncoding
    from recurra.data.video.features import LandmarkFeatures
    from recurra.models.baselines.linear import fit_linear_baseline

    labels = LabelSet.of(label_rows(training), training.source)
    rate = options["rate"]
    if rate is None:
        steps = [np.diff(one.landmarks.times) for one in training if len(one.landmarks.times) > 1]
        rate = 1 / float(np.median(np.concatenate(steps))) if steps else 30.0
    make = LandmarkFeatures(rate, options["centre"], options["scale"], options["speeds"], *training.form)
    features = [make(one.landmarks) for one in training]
    encoding = SeriesEncoding.of(features, make.names)
    baseline = fit_linear_baseline(encoding, labels, features, labels.encode(label_rows(training)))
    learned = VideoLearned(make, encoding, labels, baseline)
    if validation is not None:
        learned.check_validation(validation)
    return learned


def _words(names: tuple[str, ...], numbers: tuple[int, ...]) -> str:
    return ", ".join(f"{number} {name}" for number, name in zip(numbers, names, strict=True))
