"""Edit distance, and the errors of a recognised text: substitutions, insertions, deletions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

__all__ = ["ErrorCounts", "align", "character_errors", "count_errors", "word_errors"]

T = TypeVar("T")


@dataclass(frozen=True)
class ErrorCounts:
    """How many symbols of references and hypotheses agree. Counts of several texts add up with `+`.

    Attributes:
        hits: symbols of the reference that the hypothesis has.
        substitutions: those it has another symbol for.
        insertions: symbols of the hypothesis that the reference has not.
        deletions: symbols of the reference that the hypothesis has not.
    """

    hits: int = 0
    substitutions: int = 0
    insertions: int = 0
    deletions: int = 0

    def __add__(self, other: "ErrorCounts") -> "ErrorCounts":
        return ErrorCounts(
            self.hits + other.hits,
            self.substitutions + other.substitutions,
            self.insertions + other.insertions,
            self.deletions + other.deletions,
        )

    @property
    def errors(self) -> int:
        """The edit distance: substitutions, insertions and deletions."""
        return self.substitutions + self.insertions + self.deletions

    @property
    def length(self) -> int:
        """Symbols of the reference."""
        return self.hits + self.substitutions + self.deletions

    @property
    def rate(self) -> float:
        """Errors for each symbol of the reference: WER of words, CER of characters; above 1 with many insertions.

        Of an empty reference 0, or infinite if there are insertions.
        """
        if not self.length:
            return math.inf if self.errors else 0.0
        return self.errors / self.length


def align(reference: Sequence[T], hypothesis: Sequence[T]) -> list[tuple[T | None, T | None]]:
    """Pairs of symbols along an alignment with the fewest errors (Levenshtein 1966).

    Args:
        reference: N symbols.
        hypothesis: M symbols.

    Returns:
        (symbol, symbol) for a hit or a substitution, (None, symbol) for an insertion, (symbol, None) for a deletion. Of
        several alignments one with the most substitutions, and gaps as late as possible. It takes 4 N M bytes.
    """
    distances = _distances(reference, hypothesis)
    i, j = len(reference), len(hypothesis)
    pairs: list[tuple[T | None, T | None]] = []
    while i or j:
        here = distances[i, j]
        if i and j and here == distances[i - 1, j - 1] + (reference[i - 1] != hypothesis[j - 1]):
            i, j = i - 1, j - 1
            pairs.append((reference[i], hypothesis[j]))
        elif j and here == distances[i, j - 1] + 1:
            j -= 1
            pairs.append((None, hypothesis[j]))
        else:
            i -= 1
            pairs.append((reference[i], None))
    pairs.reverse()
    return pairs


def count_errors(reference: Sequence[T], hypothesis: Sequence[T]) -> ErrorCounts:
    """The errors of a hypothesis, along `align`'s alignment."""
    hits = substitutions = insertions = deletions = 0
    for expected, got in align(reference, hypothesis):
        if expected is None:
            insertions += 1
        elif got is None:
            deletions += 1
        elif expected == got:
            hits += 1
        else:
            substitutions += 1
    return ErrorCounts(hits, substitutions, insertions, deletions)


def word_errors(reference: str, hypothesis: str) -> ErrorCounts:
    """The errors in words, which white space separates."""
    return count_errors(reference.split(), hypothesis.split())


def character_errors(reference: str, hypothesis: str) -> ErrorCounts:
    """The errors in characters; white space counts as one space between words."""
    return count_errors(" ".join(reference.split()), " ".join(hypothesis.split()))


def _distances(reference: Sequence[object], hypothesis: Sequence[object]) -> np.ndarray:
    """The edit distance of every prefix to every prefix, (N + 1, M + 1)."""
    ids: dict[object, int] = {}
    rows, columns = (np.array([ids.setdefault(x, len(ids)) for x in one], np.int32) for one in (reference, hypothesis))
    steps = np.arange(len(columns) + 1, dtype=np.int32)
    distances = np.empty((len(rows) + 1, len(columns) + 1), np.int32)
    distances[0] = steps
    for i, symbol in enumerate(rows):
        above = distances[i]
        row = above + 1
        np.minimum(row[1:], above[:-1] + (columns != symbol), out=row[1:])
        # Insertions follow each other: the least of all that begin further left.
        distances[i + 1] = np.minimum.accumulate(row - steps) + steps
    return distances
