"""The bars of a tune, and the order in which repeats and endings play them."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from recurra.errors import DataError

__all__ = ["Bar", "TimedNote", "in_playing_order"]

_MOST_BARS, _MOST_NOTES = 10_000, 20_000


class TimedNote(NamedTuple):
    """A note of a bar.

    Attributes:
        start: from the beginning of the bar, in whole notes.
        length: in whole notes.
        pitch: of MIDI.
        tied: whether the next note of this pitch belongs to it.
    """

    start: Fraction
    length: Fraction
    pitch: int
    tied: bool


@dataclass
class Bar:
    """What is between two bar lines.

    Attributes:
        notes: in the order of their start.
        length: in whole notes.
        opens: whether a repeat begins before it.
        closes: whether a repeat ends after it.
        endings: the turns of a repeat in which it is played; empty: all.
    """

    notes: list[TimedNote] = field(default_factory=list)
    length: Fraction = Fraction(0)
    opens: bool = False
    closes: bool = False
    endings: frozenset[int] = frozenset()


def in_playing_order(bars: list[Bar]) -> list[Bar]:
    """The bars as they are played. Raises DataError: there are too many."""
    played: list[Bar] = []
    index = start = 0
    turn, notes = 1, 0
    while index < len(bars):
        bar = bars[index]
        after_endings = index and bars[index - 1].endings and not bar.endings
        if index != start and (bar.opens or after_endings):
            start, turn = index, 1
        index += 1
        if bar.endings and turn not in bar.endings:
            continue
        played.append(bar)
        notes += len(bar.notes)
        if len(played) > _MOST_BARS or notes > _MOST_NOTES:
            raise DataError(
                f"more than {_MOST_BARS:,} bars or {_MOST_NOTES:,} notes are played. Check its repeats, or cut it."
            )
        if bar.closes and (turn == 1 or turn + 1 in _endings_from(bars, start)):
            index, turn = start, turn + 1
        elif bar.closes:
            start, turn = index, 1
    return played


def _endings_from(bars: list[Bar], start: int) -> frozenset[int]:
    """The turns that the endings of the repeat name that begins at a bar."""
    turns: set[int] = set()
    for bar in bars[start:]:
        if turns and not bar.endings:
            break
        turns |= bar.endings
    return frozenset(turns)
