"""A piece of music: notes on a grid of frames."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from recurra.data.files.problems import Problem
from recurra.data.music.performance import Performance, Tracks
from recurra.data.music.pitches import LOWEST, NOTES, within_keys

__all__ = ["VELOCITY", "Grid", "Music", "Piece"]

VELOCITY = 80
"""Of notes whose velocity is not known."""

_TICKS_PER_STEP = 120


@dataclass(frozen=True)
class Grid:
    """How frames lie in time.

    Attributes:
        steps_per_beat: frames a beat, which is a quarter note.
        beats_per_bar: beats a bar.
        tempo: beats a minute.
    """

    steps_per_beat: int = 4
    beats_per_bar: float = 4.0
    tempo: float = 120.0

    @property
    def steps_per_bar(self) -> int:
        """Frames a bar, at least 1."""
        return max(round(self.steps_per_beat * self.beats_per_bar), 1)

    @property
    def seconds_per_step(self) -> float:
        """How long a frame sounds."""
        return 60 / self.tempo / self.steps_per_beat


@dataclass(frozen=True)
class Piece:
    """A piece of music.

    Attributes:
        name: of its file, or what its file calls it.
        notes: (K, 3) int64: the frame in which a note starts, the frame before which it ends, and its MIDI pitch, 21 to
            108; sorted by start and pitch. Notes of one pitch do not overlap within a track.
        length: frames.
        grid: how frames lie in time.
        tracks: the instruments of the notes; None: one piano, at one velocity.
        tempi: where the tempo changes after the beginning, the frame and the new beats a minute, in order.
        as_read: the notes as the file has them, off the grid too. None: they are `notes`.
    """

    name: str
    notes: np.ndarray
    length: int
    grid: Grid = Grid()
    tracks: Tracks | None = None
    tempi: tuple[tuple[int, float], ...] = ()
    as_read: Performance | None = None

    @classmethod
    def from_notes(
        cls,
        name: str,
        notes: np.ndarray,
        grid: Grid,
        length: int = 0,
        *,
        tracks: Tracks | None = None,
        tempi: tuple[tuple[int, float], ...] = (),
    ) -> "Piece":
        """A piece of notes in any order. A note ends at the latest where the next of its pitch and track starts.

        Args:
            name: of the piece.
            notes: (K, 3), see `Piece`; those that start together with another of their pitch and track are joined to
                the longest.
            grid: how frames lie in time.
            length: frames at least; the piece ends with its last note if that is later.
            tracks: of the notes, in their order; see `Piece`.
            tempi: see `Piece`.
        """
        track = np.zeros(len(notes), np.int64) if tracks is None else tracks.track
        order = np.lexsort((-notes[:, 1], notes[:, 0], notes[:, 2], track))
        ordered, track = notes[order].astype(np.int64), track[order]
        if len(ordered):
            same = (ordered[1:, 2] == ordered[:-1, 2]) & (track[1:] == track[:-1])
            first = np.concatenate([[True], ~(same & (ordered[1:, 0] == ordered[:-1, 0]))])
            order, ordered, track = order[first], ordered[first], track[first]
            same = (ordered[1:, 2] == ordered[:-1, 2]) & (track[1:] == track[:-1])
            ordered[:-1, 1] = np.where(same, np.minimum(ordered[:-1, 1], ordered[1:, 0]), ordered[:-1, 1])
            sorting = np.lexsort((track, ordered[:, 2], ordered[:, 0]))
            order, ordered = order[sorting], ordered[sorting]
            length = max(length, int(ordered[:, 1].max()))
        return cls(name, ordered, length, grid, None if tracks is None else tracks.select(order), tempi)

    @classmethod
    def from_performance(
        cls,
        name: str,
        performance: Performance,
        grid: Grid,
        *,
        tracks: Tracks | None = None,
        tempi: tuple[tuple[int, float], ...] = (),
    ) -> "Piece":
        """A piece of notes at any time, each moved to the nearest frame, and at least a frame long.

        Notes beyond the 88 keys of a piano are moved into them by octaves. `as_read` is the performance as it is.

        Args:
            name: of the piece.
            performance: the notes.
            grid: how frames lie in time.
            tracks: of the notes, in their order; see `Piece`.
            tempi: see `Piece`.
        """
        start, end = performance.frames(grid.steps_per_beat).T
        notes = np.stack([start, np.maximum(end, start + 1), within_keys(performance.notes[:, 2])], axis=1)
        piece = cls.from_notes(name, notes, grid, tracks=tracks)
        tempi = tuple(one for one in tempi if one[0] < piece.length)
        return replace(piece, tempi=tempi, as_read=performance)

    @classmethod
    def from_roll(cls, name: str, roll: np.ndarray, grid: Grid) -> "Piece":
        """A piece of a piano roll (T, 88) of 0 and 1. A note that sounds in frames that follow each other is one."""
        padded = np.pad(roll.astype(np.int8), ((1, 1), (0, 0)))
        change = np.diff(padded, axis=0).T
        pitch, start = np.nonzero(change == 1)
        _, end = np.nonzero(change == -1)
        return cls.from_notes(name, np.stack([start, end, pitch + LOWEST], axis=1), grid, len(roll))

    def beginning(self, length: int) -> "Piece":
        """The first frames of the piece: all if it has no more. Notes that sound on are cut."""
        chosen = self.notes[:, 0] < length
        notes = self.notes[chosen]
        notes[:, 1] = np.minimum(notes[:, 1], length)
        tracks = None if self.tracks is None else self.tracks.select(chosen)
        tempi = tuple(one for one in self.tempi if one[0] < length)
        as_read = None if self.as_read is None else self.as_read.beginning(length, self.grid.steps_per_beat)
        return Piece(self.name, notes, min(length, self.length), self.grid, tracks, tempi, as_read)

    def stretched(self, factor: float) -> "Piece":
        """The piece with all times multiplied by a factor and moved to the nearest frame; a note lasts at least one.

        Frames stay as long as they are: with 2 an eighth note becomes a quarter note, and one bar two.
        """
        notes = self.notes.copy()
        notes[:, :2] = np.floor(notes[:, :2] * factor + 0.5)
        notes[:, 1] = np.maximum(notes[:, 1], notes[:, 0] + 1)
        tempi = tuple((round(frame * factor), tempo) for frame, tempo in self.tempi)
        length = max(round(self.length * factor), min(self.length, 1))
        return Piece.from_notes(self.name, notes, self.grid, length, tracks=self.tracks, tempi=tempi)

    def merged(self) -> "Piece":
        """The piece on one piano: its notes alone, those of all tracks, at its first tempo; `as_read` stays."""
        if self.tracks is None and not self.tempi:
            return self
        return replace(Piece.from_notes(self.name, self.notes, self.grid, self.length), as_read=self.as_read)

    @property
    def performance(self) -> Performance:
        """The notes as they were read, or else those of the grid."""
        if self.as_read is not None:
            return self.as_read
        notes, count = self.notes.copy(), len(self.notes)
        notes[:, :2] *= _TICKS_PER_STEP
        alone = Tracks((0,), np.zeros(count, np.int64), np.full(count, VELOCITY))
        tempi = ((0, self.grid.tempo), *((frame * _TICKS_PER_STEP, tempo) for frame, tempo in self.tempi))
        return Performance(_TICKS_PER_STEP * self.grid.steps_per_beat, notes, self.tracks or alone, tempi)

    @property
    def duration(self) -> float:
        """How long the performance takes, in seconds."""
        performance = self.performance
        end = np.array(self.length * performance.ticks_per_beat / self.grid.steps_per_beat)
        return float(performance.seconds(end))

    @property
    def roll(self) -> np.ndarray:
        """The piano roll (T, 88), uint8, 1 for a note that sounds, in whatever track."""
        changes = np.zeros((self.length + 1, NOTES), np.int32)
        columns = self.notes[:, 2] - LOWEST
        np.add.at(changes, (self.notes[:, 0], columns), 1)
        np.add.at(changes, (self.notes[:, 1], columns), -1)
        return (changes.cumsum(0)[:-1] > 0).astype(np.uint8)

    @property
    def seconds(self) -> np.ndarray:
        """When each frame begins, and when the last ends, in seconds from the beginning (T + 1,)."""
        steps = np.full(self.length, self.grid.seconds_per_step)
        for frame, tempo in self.tempi:
            steps[frame:] = replace(self.grid, tempo=tempo).seconds_per_step
        return np.concatenate([[0.0], steps.cumsum()])

    @property
    def shape(self) -> bytes:
        """What the piece has in common with its transpositions, as a checksum."""
        first = self.notes[:1, [0, 0, 2]]
        relative = self.notes - first if len(self.notes) else self.notes
        return hashlib.sha256(relative.astype("<i8").tobytes()).digest()


@dataclass(frozen=True)
class Music:
    """Pieces that were read together.

    Attributes:
        source: where they come from.
        parts: the pieces by part, "train", "validation" and "test", where the data state parts; else all as "all".
        problems: the files and tunes that were set aside.
    """

    source: str
    parts: dict[str, tuple[Piece, ...]]
    problems: tuple[Problem, ...] = ()

    def part(self, name: str) -> tuple[Piece, ...]:
        """The pieces of a part; all if the data state no parts, and none if they lack this one."""
        return self.parts.get("all") or self.parts.get(name, ())

    def merged(self) -> "Music":
        """Every piece on one piano; see `Piece.merged`."""
        parts = {part: tuple(piece.merged() for piece in pieces) for part, pieces in self.parts.items()}
        return replace(self, parts=parts)

    def digest(self) -> str:
        digest = hashlib.sha256()
        for part, pieces in self.parts.items():
            digest.update(f"{part} {len(pieces)}\n".encode())
            for piece in pieces:
                digest.update(f"{piece.length} {piece.grid}\n".encode())
                digest.update(piece.notes.astype("<i8").tobytes())
                if piece.tempi:
                    digest.update(f"{piece.tempi}\n".encode())
                if piece.tracks is not None:
                    digest.update(f"{piece.tracks.programs}\n".encode())
                    digest.update(np.stack([piece.tracks.track, piece.tracks.velocity]).astype("<i8").tobytes())
        return digest.hexdigest()
