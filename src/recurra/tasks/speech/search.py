"""From the scores of units to words, step by step: the best unit at each step, as CTC reads it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recurra.data.audio.alphabet import Alphabet
from recurra.data.audio.timed_words import Segment, Word

__all__ = ["Emission", "GreedySearch", "begins_word", "words_of"]

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
