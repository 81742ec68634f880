"""A piece of music: notes on a grid of frames."""

import hashlib
from dataclasses import dataclass

import numpy as np

from recurra.data.music.pitches import LOWEST, NOTES

__all__ = ["Grid", "Music", "Piece"]


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
            108; sorted. Notes of one pitch do not overlap.
        length: frames.
        grid: how frames lie in time.
    """

    name: str
    notes: np.ndarray
    length: int
    grid: Grid = Grid()

    @classmethod
    def from_notes(cls, name: str, notes: np.ndarray, grid: Grid, length: int = 0) -> "Piece":
        """A piece of notes in any order. A note ends at the latest where the next of its pitch starts.

        Args:
            name: of the piece.
            notes: (K, 3), see `Piece`; those that start together with another of their pitch are joined to it.
            grid: how frames lie in time.
            length: frames at least; the piece ends with its last note if that is later.
        """
        ordered = notes[np.lexsort((-notes[:, 1], notes[:, 0], notes[:, 2]))].astype(np.int64)
        if len(ordered):
            again = (ordered[1:, 2] == ordered[:-1, 2]) & (ordered[1:, 0] == ordered[:-1, 0])
            ordered = ordered[np.concatenate([[True], ~again])]
            same = ordered[1:, 2] == ordered[:-1, 2]
            ordered[:-1, 1] = np.where(same, np.minimum(ordered[:-1, 1], ordered[1:, 0]), ordered[:-1, 1])
            ordered = ordered[np.lexsort((ordered[:, 2], ordered[:, 0]))]
            length = max(length, int(ordered[:, 1].max()))
        return cls(name, ordered, length, grid)

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
        notes = self.notes[self.notes[:, 0] < length].copy()
        notes[:, 1] = np.minimum(notes[:, 1], length)
        return Piece(self.name, notes, min(length, self.length), self.grid)

    @property
    def roll(self) -> np.ndarray:
        """The piano roll (T, 88), uint8, 1 for a note that sounds."""
        changes = np.zeros((self.length + 1, NOTES), np.int32)
        columns = self.notes[:, 2] - LOWEST
        np.add.at(changes, (self.notes[:, 0], columns), 1)
        np.add.at(changes, (self.notes[:, 1], columns), -1)
        return changes.cumsum(0)[:-1].astype(np.uint8)

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
        problems: a line for each file or tune that was set aside: where it is, and why.
    """

    source: str
    parts: dict[str, tuple[Piece, ...]]
    problems: tuple[str, ...] = ()

    def part(self, name: str) -> tuple[Piece, ...]:
        """The pieces of a part; all if the data state no parts, and none if they lack this one."""
        return self.parts.get("all") or self.parts.get(name, ())

    def digest(self) -> str:
        digest = hashlib.sha256()
        for part, pieces in self.parts.items():
            digest.update(f"{part} {len(pieces)}\n".encode())
            for piece in pieces:
                digest.update(f"{piece.length} {piece.grid}\n".encode())
                digest.update(piece.notes.astype("<i8").tobytes())
        return digest.hexdigest()
