"""From the scores of units to words: the best unit at each step, or a beam with a language model."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from recurra.data.audio.alphabet import Alphabet
from recurra.data.audio.timed_words import Segment, Word
from recurra.data.text.arpa import read_arpa
from recurra.data.text.ngram_model import BEGIN, END
from recurra.models.decoding import CTCBeamSearch

if TYPE_CHECKING:
    from recurra.tasks.speech.recognizer import Search

__all__ = ["Decoder", "Emission", "GreedySearch", "begins_word", "words_of"]

_BEAM = 50
_SPACES = (" ", "\u2581")


@dataclass
class Emission:
    """A unit that was written.

    Attributes:
        unit: its index.
        first: the step at which it begins.
        last: the last step at which it is the best unit.
        log_prob: the largest log probability that it has at one of these steps.
    """

    unit: int
    first: int
    last: int
    log_prob: float


class GreedySearch:
    """The best unit at each step; the same unit at consecutive steps counts once, blanks do not count.

    Steps come in chunks of any size, and what is written does not change later.

    Attributes:
        emissions: so far; the caller may take some out at the front.
        step: of the next scores.
        blank_steps: consecutive blanks up to the present.
    """

    def __init__(self) -> None:
        self.emissions: list[Emission] = []
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
                    self.emissions.append(Emission(unit, self.step, self.step, log_prob))
                elif self.emissions:
                    emission = self.emissions[-1]
                    emission.last, emission.log_prob = self.step, max(emission.log_prob, log_prob)
            self._previous = unit
            self.step += 1


def begins_word(alphabet: Alphabet, unit: int) -> bool:
    """Whether a new word begins with a unit, or after it if it is a space."""
    return alphabet.units == "words" or alphabet.symbols[unit].startswith(_SPACES)


def words_of(emissions: Sequence[Emission], alphabet: Alphabet, step_seconds: float) -> Segment:
    """The words of emissions, each with its times, and the geometric mean of its units' probabilities."""
    groups: list[list[Emission]] = []
    for emission in emissions:
        if not groups or begins_word(alphabet, emission.unit):
            groups.append([])
        groups[-1].append(emission)
    words = []
    for group in groups:
        text = alphabet.decode([emission.unit for emission in group])
        if not text:
            continue  # a space alone
        spoken = [emission for emission in group if alphabet.symbols[emission.unit] not in _SPACES]
        mean = sum(emission.log_prob for emission in group) / len(group)
        begin, end = spoken[0].first * step_seconds, (spoken[-1].last + 1) * step_seconds
        words.append(Word(text, begin, end, math.exp(min(mean, 0.0))))
    return Segment(tuple(words))


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
        self._alphabet, self._step_seconds = alphabet, step_seconds
        self._beam = None if search is None or search.is_greedy else _beam(alphabet, search)
        self._hot_words = {} if search is None else dict.fromkeys(search.hot_words, search.hot_weight)

    def __call__(self, log_probs: np.ndarray) -> Segment:
        """The best words."""
        if self._beam is None:
            search = GreedySearch()
            search.accept(log_probs)
            return words_of(search.emissions, self._alphabet, self._step_seconds)
        hypotheses = self._beam(torch.from_numpy(np.ascontiguousarray(log_probs)), hot_words=self._hot_words)
        if not hypotheses:
            return Segment(())
        words = (
            Word(word.text, word.start * self._step_seconds, word.end * self._step_seconds, min(word.confidence, 1.0))
            for word in hypotheses[0].words
        )
        return Segment(tuple(words))


def _beam(alphabet: Alphabet, search: "Search") -> CTCBeamSearch:
    model = None if search.lm is None else read_arpa(search.lm)
    lexicon = None
    if model is not None and search.closed:
        special = {BEGIN, END, model.unknown}
        lexicon = [word for word in model.ids if word not in special]
    symbols = alphabet.symbols
    return CTCBeamSearch(
        [symbols[0], *(f"\u2581{word}" for word in symbols[1:])] if alphabet.units == "words" else symbols,
        beam_size=search.beam_size or _BEAM,
        language_model=model,
        weight=search.lm_weight,
        bonus=search.word_bonus,
        lexicon=lexicon,
    )
