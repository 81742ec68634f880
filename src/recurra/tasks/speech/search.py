"""From the scores of units to words: the best unit at each step, or a beam with a language model."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from recurra.data.audio.alphabet import Alphabet
from recurra.data.audio.timed_words import Segment, Word
from recurra.data.text.arpa import read_arpa
from recurra.data.text.ngram_model import BEGIN, END
from recurra.models.decoding import CTCBeamSearch, TimedToken, TimedWord
from recurra.models.decoding.timed import Tokens

if TYPE_CHECKING:
    from recurra.tasks.speech.recognizer import Search

__all__ = ["Decoder", "GreedySearch", "in_seconds", "names_of", "spelling_of"]

_BEAM = 50


class GreedySearch:
    """The best unit at each step; the same unit at consecutive steps counts once, blanks do not count.

    Steps come in chunks of any size, and what is written does not change later.

    Attributes:
        emissions: so far; the caller may take some out at the front.
        step: of the next scores.
        blank_steps: consecutive blanks up to the present.
    """

    def __init__(self) -> None:
        self.emissions: list[TimedToken] = []
        self.step = 0
        self.blank_steps = 0
        self._previous = 0

    def accept(self, log_probs: np.ndarray) -> None:
        """Read the log probabilities (n, V) of the next steps."""
        best = log_probs.argmax(axis=1)
        for unit, log_prob in zip(best.tolist(), log_probs[np.arange(len(best)), best].tolist(), strict=True):
            if not unit:
                self.blank_steps += 1
            else:
                self.blank_steps = 0
                if unit != self._previous:
                    self.emissions.append(TimedToken(unit, self.step, self.step + 1, self.step, log_prob))
                elif self.emissions:
                    last = self.emissions[-1]
                    if log_prob > last.log_prob:
                        last = replace(last, peak=self.step, log_prob=log_prob)
                    self.emissions[-1] = replace(last, end=self.step + 1)
            self._previous = unit
            self.step += 1


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


class Decoder:
    """From log probabilities (S, V) of an utterance to its words, as a `Search` asks.

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

    def __call__(self, log_probs: np.ndarray) -> Segment:
        """The best words."""
        if self._beam is None:
            search = GreedySearch()
            search.accept(log_probs)
            return in_seconds(self._tokens.words(search.emissions), self._step_seconds)
        hypotheses = self._beam(torch.from_numpy(np.ascontiguousarray(log_probs)), hot_words=self._hot_words)
        return in_seconds(hypotheses[0].words if hypotheses else (), self._step_seconds)


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
