"""What a classifier of sounds learns from its training data without gradients."""

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

    from recurra.data.audio.log_mel import LogMel
    from recurra.data.audio.utterances import Utterances
    from recurra.data.labelled.series_encoding import EncodedSeries, SeriesEncoding
    from recurra.models.baselines.linear import LinearBaseline

__all__ = ["SoundLearned", "describe", "learn"]

_log = logging.getLogger("recurra.sound")

_LABELS_DESCRIBED = 6


@dataclass(frozen=True)
class SoundLearned(Learned):
    """The values that a classifier of sounds needs beside its weights.

    Attributes:
        log_mel: the features.
        encoding: their normalization.
        labels: the labels that the classifier distinguishes.
        baseline: the linear rule that the classifier has to beat.
        temperature: logits are divided by it.
    """

    log_mel: "LogMel"
    encoding: "SeriesEncoding"
    labels: LabelSet
    baseline: "LinearBaseline"
    temperature: float = 1.0

    def encode(self, utterances: "Utterances", channel: int | None) -> "tuple[EncodedSeries, list[np.ndarray]]":
        """Recordings ready to be cut into batches, and their features (T, F) as they are.

        Raises:
            DataError: a recording cannot be read.
        """
        from recurra.data.labelled.series_encoding import EncodedSeries

        features = [self.log_mel(one.read(self.log_mel.sample_rate, channel).samples) for one in utterances]
        return EncodedSeries(self.encoding, features, utterances.source), features

    def normalize(self, features: "np.ndarray") -> "np.ndarray":
        """Normalised features (T, F)."""
        return self.encoding.encode(features).numpy()

    def probabilities(self, logits: "np.ndarray") -> "np.ndarray":
        """Calibrated probabilities of labels (N, K)."""
        return self.labels.probabilities(logits / self.temperature)

    def baselines(self, features: "list[np.ndarray]") -> dict[str, list[tuple[str, ...]]]:
        """The labels that the baseline predicts from features, by its name."""
        return {self.baseline.name(False): self.baseline.predict(self.encoding, self.labels, features)}

    def check_validation(self, validation: "Utterances") -> None:
        """Warn of labels that training never sees. Raises DataError: no label is one of training."""
        unseen = self.labels.unseen([(text,) for text in validation.texts])
        if sum(unseen.values()) == len(validation):
            raise DataError(
                f"{validation.source}: no recording has a label of training; give validation data of its kind."
            )
        if unseen:
            message = "%s: labels that training never sees, which count as wrong: %s"
            _log.warning(message, validation.source, counted(unseen, 5))

    def to_json(self) -> dict[str, Any]:
        return {
            "log_mel": self.log_mel.get_params(),
            "encoding": self.encoding.to_json(),
            "labels": self.labels.to_json(),
            "temperature": self.temperature,
        }

    def tensors(self) -> "dict[str, Tensor]":
        return {"baseline.weight": self.baseline.weight, "baseline.bias": self.baseline.bias}

    @classmethod
    def from_json(cls, values: dict[str, Any], tensors: "dict[str, Tensor]") -> Self:
        from recurra.data.audio.log_mel import LogMel
        from recurra.data.labelled.series_encoding import SeriesEncoding
        from recurra.models.baselines.linear import LinearBaseline

        return cls(
            LogMel(**values["log_mel"]),
            SeriesEncoding.from_json(values["encoding"]),
            LabelSet.from_json(values["labels"]),
            LinearBaseline(tensors["baseline.weight"], tensors["baseline.bias"]),
            float(values["temperature"]),
        )

    def rows(self) -> dict[str, list[Any]]:
        labels = list(self.labels.names.symbols)
        networks = ["classifier", *(f"classifier.networks.{k}" for k in range(MOST_MEMBERS))]
        return {f"{one}.scores.{kind}": labels for one in networks for kind in ("weight", "bias")}


def describe(training: "Utterances", validation: "Utterances | None") -> str:
    """One line about the recordings; see `SoundClassifier.describe`."""
    labels = _label_set(training)
    minutes = sum(one.seconds for one in training) / 60
    shown = counted(dict(zip(labels.names.symbols, labels.counts, strict=True)), _LABELS_DESCRIBED)
    validated = "no validation" if validation is None else f"validated on {len(validation):,}"
    what = f"{len(training):,} recordings of {training.source}, {minutes:,.1f} minutes"
    return f"{what}, {len(labels):,} labels: {shown}; {validated}"


def learn(options: Mapping[str, Any], training: "Utterances", validation: "Utterances | None") -> SoundLearned:
    """Learn from training recordings.

    Args:
        options: of the classifier, by name.
        training: recordings with labels.
        validation: recordings whose labels are compared with those of training; None: there are none.

    Raises:
        DataError: there is nothing to learn, or a recording cannot be read.
    """
    from recurra.data.audio.log_mel import LogMel
    from recurra.data.audio.normalization import FeatureStatistics
    from recurra.data.labelled.series_encoding import SeriesEncoding
    from recurra.models.baselines.linear import fit_linear_baseline

    labels = _label_set(training)
    log_mel = LogMel(sample_rate=options["sample_rate"] or training.usual_rate, bins=options["bins"])
    features = [log_mel(one.read(log_mel.sample_rate, options["channel"]).samples) for one in training]
    short = next((one for one, frames in zip(training, features, strict=True) if not len(frames)), None)
    if short is not None:
        raise DataError(f"{short.name}: too short: {short.seconds:.3f} s have no frame of {log_mel.window_ms:g} ms.")
    statistics = FeatureStatistics.of(features)
    encoding = SeriesEncoding(
        tuple(f"band {k + 1}" for k in range(log_mel.feature_size)),
        "channel",
        tuple(statistics.mean.tolist()),
        tuple(statistics.deviation.tolist()),
        False,
        max(map(len, features)),
        len(features),
    )
    baseline = fit_linear_baseline(encoding, labels, features, labels.encode([(text,) for text in training.texts]))
    learned = SoundLearned(log_mel, encoding, labels, baseline)
    if validation is not None:
        learned.check_validation(validation)
    return learned


def _label_set(training: "Utterances") -> LabelSet:
    return LabelSet.of([(text,) for text in training.texts], training.source)
