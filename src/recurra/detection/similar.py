"""How alike two events are: which channels are off, in what shape, and for how long."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["SIMILAR", "EventPattern", "event_distance", "event_distances", "event_pattern", "most_similar"]

# Events at most this far apart are called similar.
SIMILAR = 0.4
_POINTS = 16  # of a shape
_SHIFTS = range(-2, 3)  # points, as alarms of alike events begin a little sooner or later
_LARGEST = 10.0  # deviations: how far a value is off beyond this does not make the shape

Array = NDArray[np.float64]


@dataclass(frozen=True)
class EventPattern:
    """What an event of C channels looks like, whatever its size and place.

    Attributes:
        fractions: (C,) of its score that each channel adds; they add up to 1.
        shape: (C, 16), how far each channel is from what was expected of it over the event, of length 1 in all; zeros
            if no channel is off.
        rows: of the event.
    """

    fractions: Array
    shape: Array
    rows: int


def event_pattern(parts: Array, deviations: Array) -> EventPattern:
    """The pattern of an event of T rows.

    Args:
        parts: (T, C), what each channel adds to the score of each row.
        deviations: (T, C), what came less what was expected, in deviations of the channel; NaN if unknown.
    """
    added = np.maximum(parts.sum(axis=0), 0)
    total = added.sum()
    fractions = added / total if total > 0 else np.full(len(added), 1 / len(added))
    own = np.clip(np.nan_to_num(deviations), -_LARGEST, _LARGEST)
    at = np.linspace(0, len(own) - 1, _POINTS)
    shape = np.stack([np.interp(at, np.arange(len(own)), column) for column in own.T])
    length = float(np.linalg.norm(shape))
    return EventPattern(fractions, shape / length if length > 0 else shape, len(parts))


def event_distance(one: EventPattern, other: EventPattern) -> float:
    """How unlike two events of the same channels are, from 0 to 1; see `event_distances`."""
    return float(event_distances(one, [other])[0])


def event_distances(one: EventPattern, others: Sequence[EventPattern]) -> Array:
    """How unlike an event is to each of K others of the same channels, (K,), from 0 to 1.

    The root of the mean square of three distances, each from 0 to 1: Hellinger's between the fractions of the
    channels; 1 less the cosine between the shapes, at the best of a few shifts; and 1 less the root of the ratio of
    their rows.
    """
    fractions = np.stack([other.fractions for other in others])
    shapes = np.stack([other.shape for other in others])
    lengths = np.array([other.rows for other in others])
    channels = np.sqrt(0.5 * ((np.sqrt(one.fractions) - np.sqrt(fractions)) ** 2).sum(axis=1))
    cosines = np.max([(shapes * _shifted(one.shape, shift)).sum(axis=(1, 2)) for shift in _SHIFTS], axis=0)
    shape = 1 - np.clip(cosines, 0, 1)
    rows = 1 - np.sqrt(np.minimum(one.rows, lengths) / np.maximum(one.rows, lengths))
    return np.sqrt((channels**2 + shape**2 + rows**2) / 3)


def most_similar(pattern: EventPattern, past: Sequence[EventPattern]) -> tuple[int, float] | None:
    """The index of the nearest of some events, the first of several, and its distance. None: there are no others."""
    if not past:
        return None
    distances = event_distances(pattern, past)
    nearest = int(np.argmin(distances))
    return nearest, float(distances[nearest])


def _shifted(shape: Array, points: int) -> Array:
    """The shape (C, P) some points later; its ends are repeated."""
    at = np.clip(np.arange(shape.shape[1]) - points, 0, shape.shape[1] - 1)
    moved = shape[:, at]
    length = float(np.linalg.norm(moved))
    return moved / length if length > 0 else moved
