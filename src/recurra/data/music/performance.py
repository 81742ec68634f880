"""Notes as a file has them, which need not lie on a grid of frames."""

from dataclasses import dataclass, replace
from fractions import Fraction
from math import gcd, lcm

import numpy as np

__all__ = ["Performance", "Tracks"]

_MOST_TICKS = 32_767  # a beat, in a MIDI file
_FINEST = 10_080  # ticks a beat: 64th notes and their tuplets of 3, 5, 6, 7 and 9 are whole numbers of them


@dataclass(frozen=True)
class Tracks:
    """Which instrument plays each of K notes, and how loudly.

    Attributes:
        programs: of each track, 0 to 127, as General MIDI numbers its instruments from 0.
        track: the index of the track of each note, int64 (K,).
        velocity: of each note, 1 to 127, int64 (K,).
    """

    programs: tuple[int, ...]
    track: np.ndarray
    velocity: np.ndarray

    def select(self, index: np.ndarray) -> "Tracks":
        """Those of the notes that an index or a mask chooses."""
        return Tracks(self.programs, self.track[index], self.velocity[index])


@dataclass(frozen=True)
class Performance:
    """Notes at any time, as MIDI files have them.

    Attributes:
        ticks_per_beat: parts of a quarter note of which times are whole numbers, 1 to 32,767.
        notes: (K, 3) int64: the ticks at which a note starts and ends, and its MIDI pitch, 0 to 127; in any order.
        tracks: the instruments of the notes.
        tempi: where a tempo begins, the tick and the beats a minute, in order; the first at tick 0.
    """

    ticks_per_beat: int
    notes: np.ndarray
    tracks: Tracks
    tempi: tuple[tuple[int, float], ...]

    @classmethod
    def of_beats(cls, beats: np.ndarray, pitch: np.ndarray, tracks: Tracks, tempo: float) -> "Performance":
        """Notes whose times are known in beats, to the nearest of 10,080 parts of one.

        Args:
            beats: when each note starts and ends (K, 2), fractions or floats.
            pitch: of each note, int64 (K,).
            tracks: their instruments.
            tempo: beats a minute.
        """
        parts = np.array([int(one * _FINEST + Fraction(1, 2)) for one in beats.ravel()], np.int64).reshape(-1, 2)
        common = gcd(_FINEST, int(np.gcd.reduce(parts, axis=None)))
        notes = np.concatenate([parts // common, pitch[:, None]], axis=1)
        return cls(_FINEST // common, notes, tracks, ((0, tempo),))

    def frames(self, steps_per_beat: int) -> np.ndarray:
        """The frame nearest to the start and to the end of each note (K, 2), halves upward."""
        return (2 * self.notes[:, :2] * steps_per_beat + self.ticks_per_beat) // (2 * self.ticks_per_beat)

    def select(self, chosen: np.ndarray) -> "Performance":
        """The notes that a mask chooses."""
        return replace(self, notes=self.notes[chosen], tracks=self.tracks.select(chosen))

    def beginning(self, frames: int, steps_per_beat: int) -> "Performance":
        """The notes that start in the first frames. Notes that sound on are cut."""
        first = self.select(self.frames(steps_per_beat)[:, 0] < frames)
        end = frames * self.ticks_per_beat // steps_per_beat
        notes = first.notes.copy()
        notes[:, 1] = np.minimum(notes[:, 1], end)
        return replace(first, notes=notes, tempi=tuple(one for one in self.tempi if not one[0] or one[0] < end))

    def joined(self, later: "Performance") -> "Performance":
        """These notes and others, and the tempi of both.

        Another note ends at the latest where one of these of its pitch and track starts: in a MIDI file, that would end
        with it.

        Args:
            later: its tracks are those of these notes, and perhaps more; its first tempo is not read.
        """
        ticks = lcm(self.ticks_per_beat, later.ticks_per_beat)
        if ticks > _MOST_TICKS:
            ticks = max(self.ticks_per_beat, later.ticks_per_beat)
        one, other = self.at(ticks), later.at(ticks)
        track, velocity = (
            np.concatenate([getattr(part.tracks, name) for part in (one, other)]) for name in ("track", "velocity")
        )
        tracks = Tracks(other.tracks.programs, track, velocity)
        notes = np.concatenate([one.notes, other.notes])
        count, (start, end, pitch) = len(one.notes), notes.T
        for k in range(count, len(notes)):
            same = (pitch[:count] == pitch[k]) & (track[:count] == track[k])
            notes[k, 1] = min([end[k], *start[:count][same & (start[:count] > start[k])]])
        return Performance(ticks, notes, tracks, one.tempi + other.tempi[1:])

    def at(self, ticks_per_beat: int) -> "Performance":
        """The same at another number of ticks a beat, each time moved to the nearest tick."""
        if ticks_per_beat == self.ticks_per_beat:
            return self
        notes = self.notes.copy()
        notes[:, :2] = self.frames(ticks_per_beat)
        factor = ticks_per_beat / self.ticks_per_beat
        return Performance(
            ticks_per_beat, notes, self.tracks, tuple((round(tick * factor), tempo) for tick, tempo in self.tempi)
        )

    def seconds(self, ticks: np.ndarray) -> np.ndarray:
        """When some ticks are, in seconds from the beginning, of the same shape."""
        starts = np.array([tick for tick, _ in self.tempi], float)
        per_tick = np.array([60 / tempo / self.ticks_per_beat for _, tempo in self.tempi])
        begins = np.concatenate([[0.0], (np.diff(starts) * per_tick[:-1]).cumsum()])
        part = np.searchsorted(starts, ticks, side="right") - 1
        return begins[part] + (ticks - starts[part]) * per_tick[part]
