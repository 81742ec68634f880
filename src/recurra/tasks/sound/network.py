"""The network of a classifier of sounds, and the classifier as a stream."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor, nn

from recurra.data.audio.json_samples import SAMPLES, read_json_samples
from recurra.data.labelled.series_encoding import EncodedSeries, Steps
from recurra.errors import DataError
from recurra.models import ClassifierEnsemble, SequenceClassifier
from recurra.models.series_network import check_stride, make_networks
from recurra.streaming import ItemStream, StreamState, stream_of
from recurra.task import Fitted
from recurra.task.architecture import trunk_of
from recurra.tasks.sound.learned import SoundLearned
from recurra.training.outputs import outputs_of

__all__ = ["FittedSound", "SoundNetwork", "logits_of", "make_network", "open_stream", "with_defaults"]

_STRIDE = 4


class SoundNetwork(nn.Module):
    """Reads a batch of normalised features and scores labels.

    Args:
        classifier: of the frames; or several.
    """

    def __init__(self, classifier: SequenceClassifier | ClassifierEnsemble) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, batch: Steps) -> tuple[Tensor, Any]:
        """Logits (B, K), and the final state of the recurrent layers."""
        return self.classifier(batch.values, batch.lengths)


FittedSound = Fitted[SoundLearned, SoundNetwork]


def with_defaults(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a classifier of sounds, with a value in place of None. Raises ParameterError."""
    values = dict(options)
    if values["stride"] is None:
        values["stride"] = _STRIDE if values["filters"] else 1
    check_stride(values["stride"], values["filters"])
    return values


def make_network(options: Mapping[str, Any], learned: SoundLearned) -> SoundNetwork:
    """The network, its weights sampled from torch's generator.

    Args:
        options: of the classifier, by name.
        learned: from the training data.
    """
    sizes = (learned.encoding.size, options["hidden_size"], len(learned.labels))
    cell = trunk_of(options["cell"], options["architecture"])
    # Masks of the augmentation hide features already.
    return SoundNetwork(make_networks(SequenceClassifier, cell, sizes, with_defaults(options), 0.0))


def logits_of(fitted: FittedSound, encoded: EncodedSeries, network: nn.Module | None = None) -> np.ndarray:
    """Scores of labels (N, K), without the temperature.

    Args:
        fitted: a classifier.
        encoded: at least one recording.
        network: one with other weights; None: the classifier's own.
    """
    return outputs_of(fitted.network if network is None else network, encoded, fitted.device)


def open_stream(fitted: FittedSound, weights: str, look_ahead: int | None) -> ItemStream:
    """The classifier as a stream of windows of samples; see `Estimator.open_stream`.

    Raises:
        StreamError: the classifier reads what is to come. The message says what to train instead.
    """
    learned = fitted.learned
    log_mel, names = learned.log_mel, learned.labels.names.symbols

    def read(item: Any, state: StreamState) -> np.ndarray:
        samples = read_json_samples(item)
        if (rest := len(samples) - log_mel.window) < 0 or rest % log_mel.shift:
            expected = f"{log_mel.window} samples, or a multiple of {log_mel.shift} more"
            raise DataError(f"item: expected {expected}, got {len(samples)}")
        return learned.normalize(log_mel(samples))

    def answer(_: np.ndarray, logits: np.ndarray) -> dict[str, Any]:
        probabilities = learned.probabilities(logits[-1:])[0]
        label = names[int(probabilities.argmax())]
        return {"label": label, "probabilities": dict(zip(names, map(float, probabilities), strict=True))}

    words = (
        f"the {log_mel.window} samples of a window at {log_mel.sample_rate:,} a second, or of several windows that "
        f"begin {log_mel.shift} samples apart, as has the next item; {SAMPLES}"
    )
    network, example = fitted.network.classifier, [0.0] * log_mel.window
    return stream_of(network, read, answer, words, example, weights=weights, look_ahead=look_ahead)
