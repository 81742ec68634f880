"""What a classifier of videos learns from its training data without gradients."""

import logging
from collections import Counter
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
    from recurra.data.video.frames import EncodedFrames, Frames
    from recurra.models.baselines.linear import LinearBaseline
    from recurra.models.image.frame_features import FrameFeatures, FrameMaps

__all__ = ["VideoLearned", "describe", "label_rows", "learn"]

_log = logging.getLogger("recurra.video")

_LABELS_DESCRIBED = 6
_VIDEO_RATE = 10.0  # frames a second


@dataclass(frozen=True)
class VideoLearned(Learned):
    """The values that a classifier of videos needs beside its weights.

    Attributes:
        features: of landmarks; or the frames of videos, or a pretrained network's features or maps of them.
        encoding: the normalization of features; where frames or maps are read, of what the baseline reads of them.
        labels: the labels that the classifier distinguishes.
        baseline: the linear rule that the classifier has to beat.
        temperature: logits are divided by it.
        background: the label of frames of which nothing is said; of a classifier of every frame. None: clips have one
            label each.
    """

    features: "LandmarkFeatures | Frames | FrameFeatures | FrameMaps"
    encoding: "SeriesEncoding"
    labels: LabelSet
    baseline: "LinearBaseline"
    temperature: float = 1.0
    background: str | None = None

    @property
    def form(self) -> tuple[int, ...]:
        """See `Clips.form`."""
        from recurra.data.video.features import LandmarkFeatures

        own = self.features
        return (own.points, own.dimensions, own.channels) if isinstance(own, LandmarkFeatures) else ()

    def encode(self, clips: "Clips", fraction: float = 1.0) -> "tuple[EncodedSeries | EncodedFrames, list[np.ndarray]]":
        """The first `fraction` of clips, ready to be cut into batches, and what the baseline reads of them (T, F).

        Raises:
            DataError: clips are of another kind, or have other points or sensors, than in training.
            RunError: the cache of frames cannot be written.
        """
        from recurra.data.labelled.series_encoding import EncodedSeries
        from recurra.data.video.clips import form_in_words
        from recurra.data.video.features import LandmarkFeatures
        from recurra.data.video.frames import EncodedFrames
        from recurra.models.image.frame_features import FrameFeatures

        expected = self.form
        if clips.form != expected:
            got, trained = form_in_words(clips.form), form_in_words(expected)
            raise DataError(f"{clips.source}: {got}, but the classifier was trained on {trained}.")
        if isinstance(self.features, LandmarkFeatures):
            features = [self.features(one.beginning(fraction)) for one in clips.landmarks]
            return EncodedSeries(self.encoding, features, clips.source), features
        frames = self.features.read(clips.videos)
        frames = [one[: max(round(fraction * len(one)), 1)] for one in frames]
        if isinstance(self.features, FrameFeatures):
            return EncodedSeries(self.encoding, frames, clips.source), frames
        return EncodedFrames(frames), [self.features.summaries(one) for one in frames]

    def references(self, clips: "Clips", lengths: "np.ndarray") -> list[tuple[str]]:
        """The label of each clip, or of each frame of the first, the second and so on.

        Args:
            clips: with labels.
            lengths: frames of each (N,).
        """
        if self.background is None:
            return label_rows(clips)
        return frame_rows(clips, lengths, self.features.rate, self.background)

    def probabilities(self, logits: "np.ndarray") -> "np.ndarray":
        """Calibrated probabilities of labels (N, K)."""
        return self.labels.probabilities(logits / self.temperature)

    def baselines(self, features: "list[np.ndarray]") -> dict[str, list[tuple[str, ...]]]:
        """The labels that the baseline predicts from features, of each clip or of each frame, by its name."""
        if self.background is not None:
            features = single_frames(features)
        return {self.baseline.name(False): self.baseline.predict(self.encoding, self.labels, features)}

    def check_validation(self, validation: "Clips") -> None:
        """Warn of labels that training never sees. Raises DataError: no label is one of training."""
        rows = label_rows(validation) if self.background is None else _named(validation)
        unseen = self.labels.unseen(rows)
        if rows and sum(unseen.values()) == len(rows):
            raise DataError(f"{validation.source}: no clip has a label of training; give validation data of its kind.")
        if unseen:
            message = "%s: labels that training never sees, which count as wrong: %s"
            _log.warning(message, validation.source, counted(unseen, 5))

    def to_json(self) -> dict[str, Any]:
        return {
            "reads": type(self.features).__name__,
            "features": self.features.to_json(),
            "encoding": self.encoding.to_json(),
            "labels": self.labels.to_json(),
            "temperature": self.temperature,
            "background": self.background,
        }

    def tensors(self) -> "dict[str, Tensor]":
        return {"baseline.weight": self.baseline.weight, "baseline.bias": self.baseline.bias}

    @classmethod
    def from_json(cls, values: dict[str, Any], tensors: "dict[str, Tensor]") -> Self:
        from recurra.data.labelled.series_encoding import SeriesEncoding
        from recurra.data.video.features import LandmarkFeatures
        from recurra.data.video.frames import Frames
        from recurra.models.baselines.linear import LinearBaseline
        from recurra.models.image.frame_features import FrameFeatures, FrameMaps

        kinds = {kind.__name__: kind for kind in (LandmarkFeatures, Frames, FrameFeatures, FrameMaps)}
        return cls(
            kinds[values["reads"]].from_json(values["features"]),
            SeriesEncoding.from_json(values["encoding"]),
            LabelSet.from_json(values["labels"]),
            LinearBaseline(tensors["baseline.weight"], tensors["baseline.bias"]),
            float(values["temperature"]),
            values.get("background"),
        )

    def rows(self) -> dict[str, list[Any]]:
        labels = list(self.labels.names.symbols)
        networks = ["classifier", *(f"classifier.networks.{k}" for k in range(MOST_MEMBERS))]
        return {f"{one}.scores.{kind}": labels for one in networks for kind in ("weight", "bias")}


def label_rows(clips: "Clips") -> list[tuple[str]]:
    """The label of each clip, as a model takes it. Raises DataError: one has none."""
    return [(label,) for label in clips.labels]


def frame_rows(clips: "Clips", lengths: "np.ndarray", rate: float, background: str) -> list[tuple[str]]:
    """The label of each frame of the first clip, the second and so on.

    Args:
        clips: of which it is known what happens when.
        lengths: frames of each (N,).
        rate: frames a second.
        background: see `VideoLearned`.
    """
    import numpy as np

    each = zip(clips, lengths, strict=True)
    return [(label,) for one, count in each for label in one.labels_at(np.arange(count) / rate, background)]


def single_frames(features: "list[np.ndarray]") -> "list[np.ndarray]":
    """Each frame (1, F) of features (T, F), as a series by itself."""
    return [one[k : k + 1] for one in features for k in range(len(one))]


def _named(clips: "Clips") -> list[tuple[str]]:
    """The label of each span of recordings."""
    return [(span.label,) for one in clips for span in one.spans or ()]


def describe(training: "Clips", validation: "Clips | None", by_frame: bool) -> str:
    """One line about the clips; see `VideoClassifier.describe`."""
    from recurra.data.video.clips import form_in_words

    named = Counter(label for (label,) in (_named(training) if by_frame else label_rows(training)))
    seconds = sum(one.content.seconds for one in training)
    subjects = {one.subject for one in training} - {None}
    people = f", {len(subjects):,} subject{'s' * (len(subjects) != 1)}" if subjects else ""
    shown = counted(dict(named.most_common()), _LABELS_DESCRIBED)
    validated = "no validation" if validation is None else f"validated on {len(validation):,}"
    noun = f"{'recording' if by_frame else 'clip'}{'s' * (len(training) != 1)}"
    what = f"{len(training):,} {noun} of {training.source}, {seconds / 60:,.1f} minutes{people}"
    form = form_in_words(training.form) if training.form else "videos"
    labels = f"{len(named):,} labels{' of spans' * by_frame}"
    return f"{what}, {form}, {labels}: {shown}; {validated}"


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
    from recurra.data.video.frames import Frames
    from recurra.models.baselines.linear import fit_linear_baseline
    from recurra.models.image.frame_features import FrameFeatures, FrameMaps

    rate, background = options["rate"], options["background"] if options["by_frame"] else None
    if training.form:
        if rate is None:
            steps = [np.diff(one.times) for one in training.landmarks if len(one.times) > 1]
            rate = 1 / float(np.median(np.concatenate(steps))) if steps else 30.0
        points, dimensions, channels = training.form
        chosen = options["centre"], options["scale"], options["speeds"]
        make = LandmarkFeatures(rate, *chosen, points, dimensions, channels)
        features, names = [make(one) for one in training.landmarks], make.names
    else:
        rate, blocks, crop = rate or _VIDEO_RATE, options["fine_tuned_blocks"], tuple(options["crop"])
        if options["features"] == "trained":
            make = Frames(rate, options["frame_size"], crop)
        else:
            make = FrameMaps(rate, blocks, crop=crop) if blocks else FrameFeatures(rate, crop=crop)
        features = [make.summaries(one) for one in make.read(training.videos, options["decoders"])]
        names = tuple(
            f"{'part' if isinstance(make, Frames) else 'feature'} {k + 1}" for k in range(features[0].shape[1])
        )
    encoding = SeriesEncoding.of(features, names)
    if background is None:
        rows, items = label_rows(training), features
    else:
        rows = frame_rows(training, np.array([len(one) for one in features]), make.rate, background)
        items = single_frames(features)
    labels = LabelSet.of(rows, training.source)
    baseline = fit_linear_baseline(encoding, labels, items, labels.encode(rows))
    learned = VideoLearned(make, encoding, labels, baseline, background=background)
    if validation is not None:
        learned.check_validation(validation)
    return learned
