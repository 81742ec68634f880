"""Labels in time: events with a start and an end, from the probabilities of labels moment by moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recurra.errors import ParameterError

__all__ = ["Event", "EventTracker", "Segment", "events_of_frames", "segments_of_labels"]


@dataclass(frozen=True)
class Event:
    """What happens for a while.

    Attributes:
        label: of it.
        start: in seconds from the beginning of the recording.
        end: likewise.
        confidence: the largest probability in that time, or of frames that are each labelled the mean.
    """

    label: str
    start: float
    end: float
    confidence: float


class Segment(NamedTuple):
    """A run of frames with one label, from `start` to before `end`."""

    label: str
    start: int
    end: int


class EventTracker:
    """Events with hysteresis from probabilities, moment by moment.

    An event begins when a label's probability reaches `begin`, and ends when it falls below `end`.

    Args:
        names: of the labels.
        begin: probability, more than a half, so that no two labels begin together.
        end: probability, at most `begin`.

    Raises:
        ParameterError: a probability is out of its range.
    """

    def __init__(self, names: tuple[str, ...], begin: float, end: float) -> None:
        if not 0.5 < begin <= 1:
            raise ParameterError("begin", "a number above 0.5, at most 1", begin)
        if not 0 < end <= begin:
            raise ParameterError("end", f"a number above 0, at most begin = {begin:g}", end)
        self._names, self._begin, self._end = names, begin, end
        self._open: tuple[int, float, float] | None = None

    def step(self, seconds: float, probabilities: NDArray[np.float64]) -> Event | None:
        """The event that ends at a moment with these probabilities (K,), if one does."""
        ended = None
        if self._open is not None:
            label, start, most = self._open
            own = float(probabilities[label])
            self._open = (label, start, max(most, own))
            if own < self._end:
                ended = self.finish(seconds)
        best = int(probabilities.argmax())
        if self._open is None and probabilities[best] >= self._begin:
            self._open = (best, seconds, float(probabilities[best]))
        return ended

    def finish(self, seconds: float) -> Event | None:
        """The event that the end of the recording ends, if one has begun."""
        if self._open is None:
            return None
        label, start, most = self._open
        self._open = None
        return Event(self._names[label], start, seconds, most)


def segments_of_labels(labels: Sequence[str], background: str) -> list[Segment]:
    """The runs of frames with one label, in order, but those of the background."""
    edges = [0, *(k + 1 for k, (one, other) in enumerate(pairwise(labels)) if one != other), len(labels)]
    runs = (Segment(labels[first], first, last) for first, last in pairwise(edges) if last > first)
    return [one for one in runs if one.label != background]


def events_of_frames(
    names: Sequence[str], probabilities: NDArray[np.float64], rate: float, background: str
) -> list[Event]:
    """The runs of frames with the same likeliest label, in order, but those of the background.

    Args:
        names: of the labels.
        probabilities: of each frame (T, K).
        rate: frames a second.
        background: the label of frames in which nothing happens.
    """
    likeliest = probabilities.argmax(1)
    return [
        Event(label, first / rate, last / rate, float(probabilities[first:last, likeliest[first]].mean()))
        for label, first, last in segments_of_labels([str(names[k]) for k in likeliest], background)
    ]
