"""Recordings to words: from what the network puts out at each step, by a search; long recordings in pieces."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from recurra.data.audio.alphabet import Alphabet
from recurra.data.audio.normalization import FeatureStatistics, SlidingMean
from recurra.data.audio.timed_words import Segment, Word
from recurra.data.audio.utterance_batches import padded_features
from recurra.data.audio.utterances import Utterance
from recurra.data.text.arpa import read_arpa
from recurra.data.text.edit_distance import align
from recurra.data.text.ngram_model import BEGIN, END
from recurra.models.acoustic import Frames, TransducerRecognizer
from recurra.models.confidence import ConfidenceMap
from recurra.models.decoding import (
    CTCBeamSearch,
    CTCGreedyStream,
    GreedyStream,
    TimedToken,
    TimedWord,
    TransducerGreedyStream,
    TransducerSearch,
    rescored,
)
from recurra.models.decoding.timed import Tokens

if TYPE_CHECKING:
    from recurra.models.acoustic import CTCRecognizer
    from recurra.task.fitted import Fitted
    from recurra.tasks.speech.learned import SpeechLearned
    from recurra.tasks.speech.recognizer import Search

    AnyFitted = Fitted[SpeechLearned, CTCRecognizer]
else:
    AnyFitted = Any

__all__ = [
    "AnyFitted",
    "CTCDecoder",
    "Decoder",
    "Spelling",
    "Transcriber",
    "TransducerDecoder",
    "UtteranceMean",
    "make_decoder",
    "make_greedy_stream",
    "normalization_of",
    "pieces_of",
    "word_confidence",
]

_BEAM = 50
_TRANSDUCER_BEAM = 8  # each of its texts costs a step of two networks
_BATCH_SECONDS = 120.0
_LONGEST = 30.0  # seconds of a piece of a long recording


@dataclass(frozen=True)
class Spelling:
    """The words that units of a network spell, with their times in seconds.

    Attributes:
        alphabet: of the network.
        step_seconds: the duration of a step.
        confidence: calibrates the confidence of words; None: it stays as the network has it.
    """

    alphabet: Alphabet
    step_seconds: float
    confidence: ConfidenceMap | None = None

    @classmethod
    def of(cls, fitted: AnyFitted, calibrated: bool = True) -> "Spelling":
        """That of a recogniser, with the map of confidence that was fitted on validation data, if there were any."""
        learned = fitted.learned
        step_seconds = fitted.options["subsampling"] * learned.log_mel.frame_seconds
        return cls(learned.alphabet, step_seconds, learned.confidence if calibrated else None)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of units as a beam search reads them, where `▁` begins a word."""
        blank, *units = symbols = self.alphabet.symbols
        return (blank, *(f"\u2581{word}" for word in units)) if self.alphabet.units == "words" else symbols

    @cached_property
    def tokens(self) -> Tokens:
        """What the units spell."""
        return Tokens.spell(self.names, 0, " ")

    def segment(self, units: Sequence[TimedToken]) -> Segment:
        """The words of units."""
        return self.in_seconds(self.tokens.words(units))

    def in_seconds(self, words: Iterable[TimedWord]) -> Segment:
        """Words whose times are steps."""
        return Segment(
            tuple(
                Word(
                    word.text,
                    word.start * self.step_seconds,
                    word.end * self.step_seconds,
                    min(word.confidence, 1.0) if self.confidence is None else self.confidence(word.confidence),
                )
                for word in words
            )
        )


class Decoder(Protocol):
    """From what the network puts out for some utterances to their words."""

    def steps(self, scores: Any) -> Tensor:
        """Of the network's output (B, S, ...) what is searched (B, S, X)."""
        ...

    def __call__(self, steps: Sequence[np.ndarray]) -> list[Segment]:
        """The best words of each of some utterances (S, X)."""
        ...


class CTCDecoder:
    """The words that the log probabilities of units by CTC say; see `Decoder`.

    Args:
        spelling: of the units.
        search: how; None: the best unit at each step.

    Raises:
        DataError: the language model cannot be read.
    """

    def __init__(self, spelling: Spelling, search: "Search | None" = None) -> None:
        self._spelling = spelling
        self._beam = None if search is None or search.is_greedy else _beam(spelling, search)
        self._hot_words = {} if search is None else dict.fromkeys(search.hot_words, search.hot_weight)

    def steps(self, scores: Any) -> Tensor:
        return scores.logits.float().log_softmax(-1)

    def __call__(self, steps: Sequence[np.ndarray]) -> list[Segment]:
        return [self._segment(one) for one in steps]

    def _segment(self, log_probs: np.ndarray) -> Segment:
        if self._beam is None:
            search = CTCGreedyStream()
            search.accept(log_probs)
            return self._spelling.segment(search.emissions)
        hypotheses = self._beam(torch.from_numpy(np.ascontiguousarray(log_probs)), hot_words=self._hot_words)
        return self._spelling.in_seconds(hypotheses[0].words if hypotheses else ())


class TransducerDecoder:
    """The words that a transducer writes; see `Decoder`. A language model and hot words rescore the texts of its beam.

    Args:
        network: the transducer.
        spelling: of the units.
        search: how; None: the best units at each step.

    Raises:
        DataError: the language model cannot be read.
    """

    def __init__(self, network: TransducerRecognizer, spelling: Spelling, search: "Search | None" = None) -> None:
        self._device, self._spelling = network.joiner.weight.device, spelling
        self._rescoring: dict[str, Any] = {}
        size = 1
        if search is not None and not search.is_greedy:
            size = search.beam_size or _TRANSDUCER_BEAM
            self._rescoring = {
                "language_model": None if search.lm is None else read_arpa(search.lm),
                "weight": search.lm_weight,
                "bonus": search.word_bonus,
                "closed": search.closed,
                "hot_words": dict.fromkeys(search.hot_words, search.hot_weight),
            }
        self._search = TransducerSearch(network, spelling.names, beam_size=size, batch_dim=1)
        self._size = size

    def steps(self, scores: Any) -> Tensor:
        return scores.frames.float()

    def __call__(self, steps: Sequence[np.ndarray]) -> list[Segment]:
        padded, lengths = padded_features(steps)
        segments = []
        for hypotheses in self._search(padded.to(self._device), lengths, n_best=self._size):
            best = rescored(hypotheses, **self._rescoring) if self._rescoring else hypotheses
            segments.append(self._spelling.in_seconds(best[0].words if best else ()))
        return segments


def make_decoder(network: nn.Module, spelling: Spelling, search: "Search | None") -> Decoder:
    """The decoder of a network of CTC or of a transducer. Raises DataError."""
    if isinstance(network, TransducerRecognizer):
        return TransducerDecoder(network, spelling, search)
    return CTCDecoder(spelling, search)


def make_greedy_stream(network: nn.Module) -> GreedyStream:
    """The greedy search of what the network puts out step by step."""
    if isinstance(network, TransducerRecognizer):
        return TransducerGreedyStream(network, device=network.joiner.weight.device)
    return CTCGreedyStream()


def _beam(spelling: Spelling, search: "Search") -> CTCBeamSearch:
    model = None if search.lm is None else read_arpa(search.lm)
    lexicon = None
    if model is not None and search.closed:
        special = {BEGIN, END, model.unknown}
        lexicon = [word for word in model.ids if word not in special]
    return CTCBeamSearch(
        spelling.names,
        beam_size=search.beam_size or _BEAM,
        language_model=model,
        weight=search.lm_weight,
        bonus=search.word_bonus,
        lexicon=lexicon,
    )


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
        calibrated: whether the confidence of words is that which was fitted on validation data, if there were any.

    Attributes:
        step_seconds: the duration of a step.
    """

    def __init__(
        self,
        fitted: AnyFitted,
        search: "Search | None" = None,
        network: nn.Module | None = None,
        calibrated: bool = True,
    ) -> None:
        self._device, self._network = fitted.device, fitted.network if network is None else network
        self._log_mel = fitted.learned.log_mel
        self._normalization = normalization_of(fitted)
        spelling = Spelling.of(fitted, calibrated)
        self.step_seconds = spelling.step_seconds
        self._decoder = make_decoder(self._network, spelling, search)

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


def word_confidence(texts: Sequence[str], segments: Sequence[Segment]) -> tuple[np.ndarray, np.ndarray]:
    """The confidence (N,) of each word that was written, and whether it is right (N,): it stands in the text there.

    Args:
        texts: of recordings.
        segments: what was written of each.
    """
    confidence, right = [], []
    for text, segment in zip(texts, segments, strict=True):
        written = [word.text for word in segment.words]
        right += [expected == got for expected, got in align(text.split(), written) if got is not None]
        confidence += [word.confidence for word in segment.words]
    return np.array(confidence, np.float64), np.array(right, bool)


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
