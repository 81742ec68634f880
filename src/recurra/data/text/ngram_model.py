"""Back-off n-gram language models."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recurra.errors import DataError

__all__ = ["BEGIN", "END", "UNKNOWN_WORDS", "NgramModel", "NgramTable"]

BEGIN, END = "<s>", "</s>"
UNKNOWN_WORDS = ("<unk>", "<UNK>")


@dataclass(frozen=True)
class NgramTable:
    """The n-grams of one length.

    Attributes:
        words: ids of each (M, n) int32.
        log10_probs: log10 p of the last word after the others (M,) float64.
        log10_backoffs: log10 of the weight of shorter contexts after it (M,) float64; 0 for the longest n-grams.
    """

    words: np.ndarray
    log10_probs: np.ndarray
    log10_backoffs: np.ndarray


@dataclass(frozen=True)
class NgramModel:
    """A back-off n-gram model (Katz 1987), as ARPA files have it.

    p(w | h) is that of the n-gram h w if the model has it, else backoff(h) p(w | h without its first word).

    Attributes:
        words: the vocabulary V, `<s>`, `</s>` and `<unk>` among it.
        tables: n-grams of length 1, in the order of `words`, to those of the order.
    """

    words: tuple[str, ...]
    tables: tuple[NgramTable, ...]

    @property
    def order(self) -> int:
        """Words of the longest n-gram."""
        return len(self.tables)

    @cached_property
    def ids(self) -> dict[str, int]:
        """The id of each word."""
        return {word: index for index, word in enumerate(self.words)}

    @cached_property
    def unknown(self) -> str | None:
        """The word that stands for those that are not in the vocabulary; None if there is none."""
        return next((word for word in UNKNOWN_WORDS if word in self.ids), None)

    def log_prob(self, context: Sequence[str], word: str) -> float:
        """log p(word | context), natural; minus infinity for an unknown word if the model has no word for those.

        Args:
            context: words before, of which the last `order` - 1 count.
            word: the next one.
        """
        history = tuple(self._id(one) for one in context[max(len(context) - self.order + 1, 0) :])
        target = self._id(word)
        total = 0.0
        while True:
            entry = self._entries.get((*history, target)) if target is not None else None
            if entry is not None:
                return math.log(10) * (total + entry[0])
            if not history:
                return -math.inf
            total += self._entries.get(history, (0.0, 0.0))[1]
            history = history[1:]

    def score(self, sentence: Sequence[str]) -> list[float]:
        """The natural log-probability of each word of a sentence and of its end, after `<s>`."""
        text = [BEGIN, *sentence, END]
        return [self.log_prob(text[:index], text[index]) for index in range(1, len(text))]

    def perplexity(self, sentences: Iterable[Sequence[str]]) -> float:
        """exp of the mean surprise of words and ends of sentences.

        Raises:
            DataError: if there is no sentence, or a word has no probability.
        """
        scores = [one for sentence in sentences for one in self.score(sentence)]
        if not scores or -math.inf in scores:
            reason = "a word that the model has not" if scores else "no sentence"
            raise DataError(f"the perplexity of an n-gram model cannot be computed: {reason}")
        return math.exp(-sum(scores) / len(scores))

    @cached_property
    def _entries(self) -> dict[tuple[int | None, ...], tuple[float, float]]:
        entries: dict[tuple[int | None, ...], tuple[float, float]] = {}
        for table in self.tables:
            numbers = zip(table.log10_probs.tolist(), table.log10_backoffs.tolist(), strict=True)
            entries.update(zip(map(tuple, table.words.tolist()), numbers, strict=True))
        return entries

    def _id(self, word: str) -> int | None:
        known = self.ids.get(word)
        return self.ids.get(self.unknown) if known is None and self.unknown is not None else known
