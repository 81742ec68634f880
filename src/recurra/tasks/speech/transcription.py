"""Recordings to transcripts: whole ones in batches, and long ones in pieces cut where they are quiet."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from recurra.data.audio.normalization import FeatureStatistics, SlidingMean
from recurra.data.audio.timed_words import Segment
from recurra.data.audio.utterance_batches import padded_features
from recurra.data.audio.utterances import Utterance
from recurra.models.acoustic import Frames
from recurra.tasks.speech.search import make_decoder

if TYPE_CHECKING:
    from recurra.models.acoustic import CTCRecognizer
    from recurra.task.fitted import Fitted
    from recurra.tasks.speech.learned import SpeechLearned
    from recurra.tasks.speech.recognizer import Search

    AnyFitted = Fitted[SpeechLearned, CTCRecognizer]
else:
    AnyFitted = Any

__all__ = ["AnyFitted", "Transcriber", "UtteranceMean", "normalization_of", "pieces_of"]

_BATCH_SECONDS = 120.0
_LONGEST = 30.0  # seconds of a piece of a long recording


class UtteranceMean:
    """Subtracts the mean of a recording, and divides by the deviation of training."""

    def __init__(self, statistics: FeatureStatistics) -> None:
        self.statistics = statistics

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """The normalised features (T, F) float32."""
        mean = features.mean(axis=0, keepdims=True) if len(features) else 0
        return ((features - mean) / self.statistics.deviation).astype(np.float32)


def normalization_of(fitted: AnyFitted) -> Any:
    """How features are normalised; a function of features (T, F)."""
    statistics, kind = fitted.learned.statistics, fitted.options["normalization"]
    if kind == "sliding":
        return SlidingMean(statistics)
    if kind == "training" or (kind is None and not fitted.options["bidirectional"]):
        return statistics
    return UtteranceMean(statistics)


class Transcriber:
    """A trained recogniser, for whole recordings.

    Args:
        fitted: the recogniser.
        search: how texts are searched for; None: the best unit at each step.
        network: to use; None: the trained one.

    Attributes:
        step_seconds: the duration of a step.
    """

    def __init__(self, fitted: AnyFitted, search: "Search | None" = None, network: nn.Module | None = None) -> None:
        self._device, self._network = fitted.device, fitted.network if network is None else network
        self._log_mel = fitted.learned.log_mel
        self._normalization = normalization_of(fitted)
        self.step_seconds: float = fitted.options["subsampling"] * self._log_mel.frame_seconds
        self._decoder = make_decoder(self._network, fitted.learned.alphabet, search, self.step_seconds)

    def features(self, utterance: Utterance) -> np.ndarray:
        """The normalised features (T, F) of an utterance. Raises DataError."""
        return self._normalization(self._log_mel(utterance.read(self._log_mel.sample_rate).samples))

    def log_probs(self, features: Sequence[np.ndarray]) -> Iterator[tuple[int, np.ndarray]]:
        """The row and the log probabilities (S, V) of units by CTC of each of the features, the longest first."""
        for rows, scores in self._batches(features):
            log_probs = scores.logits.float().log_softmax(-1).cpu().numpy()
            for k, row in enumerate(rows):
                yield row, log_probs[k, : int(scores.lengths[k])]

    def segments(self, features: Sequence[np.ndarray]) -> list[Segment]:
        """The segments of each of the features (T, F)."""
        segments: list[Segment] = [Segment(())] * len(features)
        for rows, scores in self._batches(features):
            steps = self._decoder.steps(scores).cpu().numpy()
            decoded = self._decoder([one[: int(length)] for one, length in zip(steps, scores.lengths, strict=True)])
            for row, segment in zip(rows, decoded, strict=True):
                segments[row] = segment
        return segments

    def _batches(self, features: Sequence[np.ndarray]) -> Iterator[tuple[list[int], Any]]:
        """The rows of a batch, and what the network makes of them, the longest first."""
        self._network.eval()
        order = sorted(range(len(features)), key=lambda row: -len(features[row]))
        start = 0
        while start < len(order):
            longest = max(1, len(features[order[start]]))
            count = max(1, int(_BATCH_SECONDS / self._log_mel.frame_seconds) // longest)
            rows = order[start : start + count]
            padded, lengths = padded_features([features[row] for row in rows])
            with torch.no_grad():
                scores, _ = self._network(Frames(padded.to(self._device), lengths))
            yield rows, scores
            start += count

    def transcribe(self, utterances: Sequence[Utterance]) -> list[list[Segment]]:
        """The segments of each utterance; a long one is cut into pieces where it is quiet. Raises DataError."""
        pieces: list[np.ndarray] = []
        starts: list[list[tuple[int, float]]] = []
        frame_seconds, quiet = self._log_mel.frame_seconds, round(_LONGEST / self._log_mel.frame_seconds)
        for utterance in utterances:
            features = self._log_mel(utterance.read(self._log_mel.sample_rate).samples)
            cuts = pieces_of(features, quiet)
            starts.append([(len(pieces) + k, begin * frame_seconds) for k, (begin, _) in enumerate(cuts)])
            pieces += [self._normalization(features[begin:end]) for begin, end in cuts]
        segments = self.segments(pieces)
        return [[segments[k].later(seconds) for k, seconds in own if segments[k].words] for own in starts]


def pieces_of(features: np.ndarray, longest: int) -> list[tuple[int, int]]:
    """Begin and end of pieces of at most `longest` frames, cut where the sound is quietest.

    Args:
        features: log-mel (T, F), not normalised.
        longest: frames.
    """
    cuts, energy = [0], features.mean(axis=1) if len(features) else np.zeros(0)
    window = 20
    while len(features) - cuts[-1] > longest:
        # In the second half of what a piece may have, the quietest fifth of a second.
        begin, end = cuts[-1] + longest // 2, cuts[-1] + longest
        smooth = np.convolve(energy[begin:end], np.ones(window) / window, mode="valid")
        cuts.append(begin + int(smooth.argmin()) + window // 2)
    return [*zip(cuts, [*cuts[1:], len(features)], strict=True)]
