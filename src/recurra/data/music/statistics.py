"""What music is like: pitch classes, intervals, density, notes outside the key, repetition, and what it copies."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recurra.data.music.piece import Piece
from recurra.data.music.pitches import MODES

__all__ = [
    "LONGEST_LAG",
    "Character",
    "character",
    "longest_common_subsequence",
    "most_copied",
    "overlap",
    "similarity_error",
]

LONGEST_LAG = 16
"""Bars that are looked back for what repeats."""


_OCTAVE = 12
_MAJOR = np.array(MODES["major"])
_RAISED = np.array(MODES["harmonic"])


@dataclass(frozen=True)
class Character:
    """Figures of some pieces together.

    Attributes:
        pitch_classes: the fraction of the frames of notes that each pitch class has (12,), C first.
        intervals: the fraction of the steps of the highest voice that each interval has (25,), from an octave down to
            an octave up; larger ones count as an octave. Repeated notes do not count.
        density: notes that sound in a frame, on average.
        outside_key: the fraction of the frames of notes whose pitch class is not in the key of their piece, which is
            the major or harmonic minor key, or the natural minor key, that has the most of them.
        duration: beats that a note lasts, on average.
        similarity: how similar bars are that lie 1, 2, ... `LONGEST_LAG` bars apart, on average (16,): the notes that
            both have, by pitch, beginning in the bar and length, as a fraction of those that either has; see
            `similarity_error`. NaN where no piece has such bars.
    """

    pitch_classes: np.ndarray
    intervals: np.ndarray
    density: float
    outside_key: float
    duration: float
    similarity: np.ndarray


def character(pieces: Sequence[Piece]) -> Character:
    """Figures of pieces. Pieces without notes, and no pieces, have 0 in all of them."""
    classes, intervals = np.zeros(_OCTAVE), np.zeros(2 * _OCTAVE + 1)
    outside = frames = beats = count = 0.0
    for piece in pieces:
        own = np.bincount(piece.notes[:, 2] % _OCTAVE, piece.notes[:, 1] - piece.notes[:, 0], _OCTAVE)
        classes += own
        outside += own.sum() - max(_in_key(own))
        frames += piece.length
        beats += own.sum() / piece.grid.steps_per_beat
        count += len(piece.notes)
        steps = np.diff(_highest(piece))
        np.add.at(intervals, np.clip(steps[steps != 0], -_OCTAVE, _OCTAVE) + _OCTAVE, 1)
    sounding = classes.sum()
    return Character(
        classes / max(sounding, 1),
        intervals / max(intervals.sum(), 1),
        sounding / max(frames, 1),
        outside / max(sounding, 1),
        beats / max(count, 1),
        _similarity(pieces),
    )


def similarity_error(one: Character, other: Character) -> float:
    """The mean difference of how similar bars are, over their distances (Yu et al. 2022, Museformer).

    The paper looks 40 bars back, here it is `LONGEST_LAG`. Distances that one of them does not have do not count; 0 if
    there are none.
    """
    differences = np.abs(one.similarity - other.similarity)
    known = ~np.isnan(differences)
    return float(differences[known].mean()) if known.any() else 0.0


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """What two distributions have in common, in [0, 1]: one minus their total variation distance."""
    return float(np.minimum(one, other).sum())


def most_copied(piece: Piece, training: Sequence[Piece]) -> tuple[float, str]:
    """The largest fraction of a piece's notes that are, in their order, also in one piece of training.

    Notes are compared by their interval from the note before, so that a transposition counts as a copy. The fraction is
    the length of the longest common subsequence; notes that sound together are in the order of their pitch.

    Returns:
        The fraction, and the name of the piece of training; 0 and "" for fewer than two notes.
    """
    own = np.diff(piece.notes[:, 2])
    if not len(own) or not training:
        return 0.0, ""
    lengths = [longest_common_subsequence(own, np.diff(other.notes[:, 2])) for other in training]
    most = int(np.argmax(lengths))
    return lengths[most] / len(own), training[most].name


def longest_common_subsequence(one: np.ndarray, other: np.ndarray) -> int:
    """The length of the longest common subsequence of two sequences of whole numbers.

    It takes one operation on bits of all of `one` for each element of `other` (Crochemore et al. 2001).
    """
    bits_of: dict[int, int] = {}
    for index, value in enumerate(one.tolist()):
        bits_of[value] = bits_of.get(value, 0) | 1 << index
    every = (1 << len(one)) - 1
    row = every
    for value in other.tolist():
        common = row & bits_of.get(value, 0)
        row = ((row + common) | (row - common)) & every
    return len(one) - row.bit_count()


def _similarity(pieces: Sequence[Piece]) -> np.ndarray:
    """See `Character.similarity`. Pairs of bars in which no note begins do not count."""
    total, pairs = np.zeros(LONGEST_LAG), np.zeros(LONGEST_LAG)
    for piece in pieces:
        step = piece.grid.steps_per_bar
        bars: list[set[tuple[int, int, int]]] = [set() for _ in range(-(-piece.length // step))]
        for start, end, pitch in piece.notes.tolist():
            bars[start // step].add((start % step, end - start, pitch))
        for lag in range(1, min(LONGEST_LAG + 1, len(bars))):
            for earlier, later in zip(bars, bars[lag:], strict=False):
                if either := len(earlier | later):
                    total[lag - 1] += len(earlier & later) / either
                    pairs[lag - 1] += 1
    return np.divide(total, pairs, out=np.full(LONGEST_LAG, np.nan), where=pairs > 0)


def _in_key(classes: np.ndarray) -> list[float]:
    """How much of a histogram of pitch classes each key has."""
    return [float(classes[(tonic + scale) % _OCTAVE].sum()) for tonic in range(_OCTAVE) for scale in (_MAJOR, _RAISED)]


def _highest(piece: Piece) -> np.ndarray:
    """The highest pitch of each frame in which a note sounds."""
    roll = piece.roll
    sounding = roll.any(1)
    return roll.shape[1] - 1 - roll[sounding, ::-1].argmax(1).astype(np.int64)
