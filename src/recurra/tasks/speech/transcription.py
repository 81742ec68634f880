"""Recordings to words: from what the network puts out at each step, by a search; long recordings in pieces."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from recurra.data.audio.alphabet import Alphabet
from recurra.data.audio.normalization import FeatureStatistics, SlidingMean
from recurra.data.audio.timed_words import Segment, Word
from recurra.data.audio.utterance_batches import padded_features
from recurra.data.audio.utterances import Utterance
from recurra.data.files.text_file import read_text
from recurra.data.text.arpa import read_arpa
from recurra.data.text.edit_distance import align
from recurra.data.text.ngram_model import BEGIN, END, NgramModel
from recurra.data.text.tokens import Tokenization
from recurra.errors import DataError, RunError
from recurra.models import RecurrentLanguageModel
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
from recurra.models.decoding.language_fusion import RecurrentScorer, character_fusion
from recurra.models.decoding.timed import TimedHypothesis, Tokens
from recurra.task.registry import load

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
    "Language",
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

    def texts(self, hypotheses: Sequence[TimedHypothesis]) -> list[Segment]:
        """The words of each hypothesis; an empty text if there is none."""
        return [self.in_seconds(one.words) for one in hypotheses] or [Segment(())]

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


@dataclass(frozen=True)
class Language:
    """What a search knows of the language.

    Attributes:
        ngrams: a model of words; None: none.
        recurrent: a recurrent model, and how it cuts a text; None: none.
        lexicon: the only words that may be; None: any.
    """

    ngrams: NgramModel | None = None
    recurrent: tuple[RecurrentLanguageModel, Tokenization] | None = None
    lexicon: frozenset[str] | None = None

    @classmethod
    def of(cls, search: "Search") -> "Language":
        """Read the files that a search names. Raises DataError, or RunError for a run of another task."""
        lexicon = None
        if search.lexicon is not None:
            lines = read_text(search.lexicon).splitlines()
            # Dictionaries of pronunciations number the further ones of a word: A(2).
            lexicon = frozenset(line.split()[0].partition("(")[0] for line in lines if line.strip())
        if search.lm is None or not Path(search.lm).is_dir():
            ngrams = None if search.lm is None else read_arpa(search.lm)
            if search.closed and ngrams is not None:
                lexicon = frozenset(ngrams.ids) - {BEGIN, END, ngrams.unknown}
            return cls(ngrams, None, lexicon)
        run = load(search.lm)
        if run.task != "language":
            raise RunError(f"{search.lm}: a run of {run.task}, expected one of language.")
        return cls(None, (run.fitted.network, run.fitted.learned.tokens), lexicon)


class Decoder(Protocol):
    """From what the network puts out for some utterances to their words."""

    def steps(self, scores: Any) -> Tensor:
        """Of the network's output (B, S, ...) what is searched (B, S, X)."""
        ...

    def __call__(self, steps: Sequence[np.ndarray]) -> list[list[Segment]]:
        """The best texts of each of some utterances (S, X), best first: one at least, which may be empty."""
        ...


class CTCDecoder:
    """The words that the log probabilities of units by CTC say; see `Decoder`.

    A recurrent language model over the same characters counts within the beam, another rescores its texts.

    Args:
        spelling: of the units.
        search: how; None: the best unit at each step.

    Raises:
        DataError: the language model or the lexicon cannot be read.
        RunError: the run of the language model cannot be used.
    """

    def __init__(self, spelling: Spelling, search: "Search | None" = None) -> None:
        self._spelling, self._beam = spelling, None
        self._hot_words = {} if search is None else dict.fromkeys(search.hot_words, search.hot_weight)
        self._rescoring: dict[str, Any] = {}
        if search is None or search.is_greedy:
            return
        language, fusion = Language.of(search), None
        if language.recurrent is not None and search.lm_weight:
            fusion = character_fusion(*language.recurrent, spelling.names, search.lm_weight)
            if fusion is None:
                self._rescoring = {"text_scores": RecurrentScorer(*language.recurrent), "weight": search.lm_weight}
        self._n_best, size = search.n_best, search.beam_size or max(_BEAM, search.n_best)
        self._searched = size if self._rescoring else search.n_best
        self._beam = CTCBeamSearch(
            spelling.names,
            beam_size=size,
            language_model=language.ngrams,
            weight=search.lm_weight,
            bonus=search.word_bonus,
            lexicon=language.lexicon,
            fusion=fusion,
        )

    def steps(self, scores: Any) -> Tensor:
        return scores.logits.float().log_softmax(-1)

    def __call__(self, steps: Sequence[np.ndarray]) -> list[list[Segment]]:
        return [self._segments(one) for one in steps]

    def _segments(self, log_probs: np.ndarray) -> list[Segment]:
        if self._beam is None:
            search = CTCGreedyStream()
            search.accept(log_probs)
            return [self._spelling.segment(search.emissions)]
        values = torch.from_numpy(np.ascontiguousarray(log_probs))
        hypotheses = self._beam(values, self._searched, hot_words=self._hot_words)
        if self._rescoring:
            hypotheses = rescored(hypotheses, **self._rescoring)
        return self._spelling.texts(hypotheses[: self._n_best])


class TransducerDecoder:
    """The words that a transducer writes; see `Decoder`. Language models and hot words rescore the texts of its beam.

    Args:
        network: the transducer.
        spelling: of the units.
        search: how; None: the best units at each step.

    Raises:
        DataError: the language model or the lexicon cannot be read.
        RunError: the run of the language model cannot be used.
    """

    def __init__(self, network: TransducerRecognizer, spelling: Spelling, search: "Search | None" = None) -> None:
        self._device, self._spelling = network.joiner.weight.device, spelling
        self._rescoring: dict[str, Any] = {}
        self._size = self._n_best = 1
        if search is not None and not search.is_greedy:
            self._n_best = search.n_best
            self._size = search.beam_size or max(_TRANSDUCER_BEAM, search.n_best)
            language = Language.of(search)
            self._rescoring = {
                "language_model": language.ngrams,
                "text_scores": None if language.recurrent is None else RecurrentScorer(*language.recurrent),
                "weight": search.lm_weight,
                "bonus": search.word_bonus,
                "lexicon": language.lexicon,
                "hot_words": dict.fromkeys(search.hot_words, search.hot_weight),
            }
        self._search = TransducerSearch(network, spelling.names, beam_size=self._size, batch_dim=1)

    def steps(self, scores: Any) -> Tensor:
        return scores.frames.float()

    def __call__(self, steps: Sequence[np.ndarray]) -> list[list[Segment]]:
        padded, lengths = padded_features(steps)
        segments = []
        for hypotheses in self._search(padded.to(self._device), lengths, n_best=self._size):
            best = rescored(hypotheses, **self._rescoring) if self._rescoring else hypotheses
            segments.append(self._spelling.texts(best[: self._n_best]))
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
        """The best segment of each of the features (T, F)."""
        return [best[0] for best in self.alternatives(features)]

    def alternatives(self, features: Sequence[np.ndarray]) -> list[list[Segment]]:
        """Up to `n_best` segments of each of the features (T, F), best first."""
        segments: list[list[Segment]] = [[]] * len(features)
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

    def best_texts(self, utterances: Sequence[Utterance]) -> list[list[Segment]]:
        """Up to `n_best` segments of each utterance, best first. Raises DataError: one is long, and would be cut."""
        for one in utterances:
            if one.seconds > _LONGEST:
                raise DataError(
                    f"{one.name}: {one.seconds:.1f} s, and a recording of more than {_LONGEST:g} s is cut, each piece "
                    "with texts of its own. Leave out --n-best."
                )
        return self.alternatives([self.features(one) for one in utterances])

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
