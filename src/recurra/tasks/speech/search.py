"""From what the network puts out at each step to words: the best units, or a beam with a language model."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from recurra.data.audio.alphabet import Alphabet
from recurra.data.audio.timed_words import Segment, Word
from recurra.data.audio.utterance_batches import padded_features
from recurra.data.text.arpa import read_arpa
from recurra.data.text.ngram_model import BEGIN, END
from recurra.models.acoustic import TransducerRecognizer
from recurra.models.decoding import (
    CTCBeamSearch,
    CTCGreedyStream,
    GreedyStream,
    TimedWord,
    TransducerGreedyStream,
    TransducerSearch,
    rescored,
)
from recurra.models.decoding.timed import Tokens

if TYPE_CHECKING:
    from recurra.tasks.speech.recognizer import Search

__all__ = [
    "CTCDecoder",
    "Decoder",
    "TransducerDecoder",
    "in_seconds",
    "make_decoder",
    "make_greedy_stream",
    "names_of",
    "spelling_of",
]

_BEAM = 50
_TRANSDUCER_BEAM = 8  # each of its texts costs a step of two networks


def names_of(alphabet: Alphabet) -> tuple[str, ...]:
    """The names of units as a beam search reads them, where `▁` begins a word."""
    blank, *units = alphabet.symbols
    return (blank, *(f"\u2581{word}" for word in units)) if alphabet.units == "words" else alphabet.symbols


def spelling_of(alphabet: Alphabet) -> Tokens:
    """What the units spell."""
    return Tokens.spell(names_of(alphabet), 0, " ")


def in_seconds(words: Iterable[TimedWord], step_seconds: float) -> Segment:
    """Words with their times in seconds."""
    return Segment(
        tuple(
            Word(word.text, word.start * step_seconds, word.end * step_seconds, min(word.confidence, 1.0))
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
        alphabet: of the network.
        search: how; None: the best unit at each step.
        step_seconds: the duration of a step.

    Raises:
        DataError: the language model cannot be read.
    """

    def __init__(self, alphabet: Alphabet, search: "Search | None", step_seconds: float) -> None:
        self._tokens, self._step_seconds = spelling_of(alphabet), step_seconds
        self._beam = None if search is None or search.is_greedy else _beam(alphabet, search)
        self._hot_words = {} if search is None else dict.fromkeys(search.hot_words, search.hot_weight)

    def steps(self, scores: Any) -> Tensor:
        return scores.logits.float().log_softmax(-1)

    def __call__(self, steps: Sequence[np.ndarray]) -> list[Segment]:
        return [in_seconds(self._words(one), self._step_seconds) for one in steps]

    def _words(self, log_probs: np.ndarray) -> Iterable[TimedWord]:
        if self._beam is None:
            search = CTCGreedyStream()
            search.accept(log_probs)
            return self._tokens.words(search.emissions)
        hypotheses = self._beam(torch.from_numpy(np.ascontiguousarray(log_probs)), hot_words=self._hot_words)
        return hypotheses[0].words if hypotheses else ()


class TransducerDecoder:
    """The words that a transducer writes; see `Decoder`. A language model and hot words rescore the texts of its beam.

    Args:
        network: the transducer.
        alphabet: of the network.
        search: how; None: the best units at each step.
        step_seconds: the duration of a step.

    Raises:
        DataError: the language model cannot be read.
    """

    def __init__(
        self, network: TransducerRecognizer, alphabet: Alphabet, search: "Search | None", step_seconds: float
    ) -> None:
        self._device, self._step_seconds = network.joiner.weight.device, step_seconds
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
        self._search = TransducerSearch(network, names_of(alphabet), beam_size=size, batch_dim=1)
        self._size = size

    def steps(self, scores: Any) -> Tensor:
        return scores.frames.float()

    def __call__(self, steps: Sequence[np.ndarray]) -> list[Segment]:
        padded, lengths = padded_features(steps)
        segments = []
        for hypotheses in self._search(padded.to(self._device), lengths, n_best=self._size):
            best = rescored(hypotheses, **self._rescoring) if self._rescoring else hypotheses
            segments.append(in_seconds(best[0].words if best else (), self._step_seconds))
        return segments


def make_decoder(network: nn.Module, alphabet: Alphabet, search: "Search | None", step_seconds: float) -> Decoder:
    """The decoder of a network of CTC or of a transducer. Raises DataError."""
    if isinstance(network, TransducerRecognizer):
        return TransducerDecoder(network, alphabet, search, step_seconds)
    return CTCDecoder(alphabet, search, step_seconds)


def make_greedy_stream(network: nn.Module) -> GreedyStream:
    """The greedy search of what the network puts out step by step."""
    if isinstance(network, TransducerRecognizer):
        return TransducerGreedyStream(network, device=network.joiner.weight.device)
    return CTCGreedyStream()


def _beam(alphabet: Alphabet, search: "Search") -> CTCBeamSearch:
    model = None if search.lm is None else read_arpa(search.lm)
    lexicon = None
    if model is not None and search.closed:
        special = {BEGIN, END, model.unknown}
        lexicon = [word for word in model.ids if word not in special]
    return CTCBeamSearch(
        names_of(alphabet),
        beam_size=search.beam_size or _BEAM,
        language_model=model,
        weight=search.lm_weight,
        bonus=search.word_bonus,
        lexicon=lexicon,
    )
