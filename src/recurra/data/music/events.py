"""Pieces as sequences of events: bars, positions, tempi, voices, pitches, velocities and durations."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np

from recurra.data.music.performance import Tracks
from recurra.data.music.piece import VELOCITY, Grid, Piece
from recurra.data.music.pitches import LOWEST, NOTES, pitch_name
from recurra.text_table import number_of

__all__ = ["KINDS", "EncodedPiece", "EventVocabulary", "Voice"]

KINDS = ("end", "meter", "tempo", "bar", "position", "voice", "pitch", "velocity", "duration", "held")

Voice = tuple[int, int]
"""A MIDI program, and which of the tracks with it, from 0."""

_LONGEST = 16  # beats of a token of duration
_VELOCITY_STEP = 4
_FAMILY = 8  # programs of General MIDI that are alike
# The marks of a metronome, and on in the same proportions.
_MARKS = (
    *range(10, 40, 2), *range(40, 60, 2), *range(60, 72, 3), *range(72, 120, 4), *range(120, 144, 6),
    *range(144, 208, 8), *range(208, 264, 12), *range(264, 400, 16), *range(400, 1001, 25),
)  # fmt: skip


class EncodedPiece(NamedTuple):
    """A piece as events.

    Attributes:
        tokens: of the vocabulary, int64 (N,); the last is the end.
        note: the index of the note that each token leads to (N,), -1 for those after the last note.
    """

    tokens: np.ndarray
    note: np.ndarray


@dataclass(frozen=True)
class EventVocabulary:
    """The events of some pieces, after REMI (Huang and Yang 2020), and how pieces become sequences of them.

    A sequence begins with the meter and the tempo, and ends with a position and the end. Between them there is a bar
    for each bar, a position for each frame where something begins, and for each note its pitch, velocity and duration.
    Before the first note of a voice at a position stands the voice. Notes of a position are in the order of their
    voices, those of a voice from the highest to the lowest. A duration of more than `longest` frames is as many events
    "held" of `longest` frames as it needs, and a duration. What has one value in all of these pieces has no events.

    Every piece fits the vocabulary after `fit`, which moves what the vocabulary lacks to what is nearest; after it
    `decode` gives back what `encode` was given.

    Attributes:
        meters: frames a beat and beats a bar.
        tempi: beats a minute, rising.
        voices: sorted.
        velocities: rising.
        longest: frames.
    """

    meters: tuple[tuple[int, float], ...]
    tempi: tuple[int, ...]
    voices: tuple[Voice, ...]
    velocities: tuple[int, ...]
    longest: int

    @classmethod
    def of(cls, pieces: Sequence[Piece]) -> Self:
        """The events of pieces, at least one."""
        durations = [int((piece.notes[:, 1] - piece.notes[:, 0]).max()) for piece in pieces if len(piece.notes)]
        beats = max(piece.grid.steps_per_beat for piece in pieces)
        meters = Counter((piece.grid.steps_per_beat, piece.grid.beats_per_bar) for piece in pieces)
        return cls(
            tuple(sorted(meters)),
            tuple(sorted({_mark(tempo) for piece in pieces for tempo in _tempi_of(piece)})),
            tuple(sorted({voice for piece in pieces for voice in _voices_of(piece)})),
            tuple(sorted({one for piece in pieces for one in _loudness(piece).tolist()} or {VELOCITY})),
            max(min(max(durations, default=1), _LONGEST * beats), 1),
        )

    def to_json(self) -> dict[str, Any]:
        """The vocabulary as values of JSON."""
        return {
            "meters": [list(one) for one in self.meters],
            "tempi": list(self.tempi),
            "voices": [list(one) for one in self.voices],
            "velocities": list(self.velocities),
            "longest": self.longest,
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """The vocabulary of `to_json`."""
        return cls(
            tuple((int(steps), float(beats)) for steps, beats in values["meters"]),
            tuple(values["tempi"]),
            tuple((int(program), int(which)) for program, which in values["voices"]),
            tuple(values["velocities"]),
            values["longest"],
        )

    def __len__(self) -> int:
        """V, tokens."""
        return sum(self._sizes)

    @cached_property
    def _sizes(self) -> tuple[int, ...]:
        """Tokens of each of `KINDS`."""
        positions = max(Grid(*meter).steps_per_bar for meter in self.meters)
        varied = [len(one) if len(one) > 1 else 0 for one in (self.meters, self.tempi, self.voices, self.velocities)]
        meters, tempi, voices, velocities = varied
        return 1, meters, tempi, 1, positions, voices, NOTES, velocities, self.longest, 1

    @cached_property
    def tokens_of(self) -> dict[str, slice]:
        """The tokens of each of `KINDS`; none if it has no events."""
        ends = np.cumsum(self._sizes).tolist()
        return {kind: slice(end - size, end) for kind, size, end in zip(KINDS, self._sizes, ends, strict=True)}

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """The kind of each token (V,)."""
        return tuple(kind for kind, size in zip(KINDS, self._sizes, strict=True) for _ in range(size))

    def token(self, kind: str, value: int = 0) -> int:
        """The token of a kind with the index `value` among its kind; -1 if the kind has no events."""
        of = self.tokens_of[kind]
        return -1 if of.start == of.stop else of.start + value

    def value(self, token: int) -> int:
        """The index of a token among its kind."""
        return token - self.tokens_of[self.kinds[token]].start

    def name(self, token: int) -> str:
        """A token in words."""
        kind, value = self.kinds[token], self.value(token)
        match kind:
            case "meter":
                return f"meter of {number_of(self.meters[value][1], 'beat')}"
            case "tempo":
                return f"tempo {self.tempi[value]}"
            case "position":
                return f"position {value}"
            case "voice":
                program, which = self.voices[value]
                return f"voice {program}.{which + 1}"
            case "pitch":
                return pitch_name(LOWEST + value)
            case "velocity":
                return f"velocity {self.velocities[value]}"
            case "duration":
                return number_of(value + 1, "frame")
            case _:
                return kind

    def voices_for(self, piece: Piece) -> list[int]:
        """The index of the voice of each track of a piece: the same, else a free one of its instrument or family."""
        assigned: dict[int, int] = {}
        wanted = _voices_of(piece)
        tests = (
            lambda one, own: one == own,
            lambda one, own: one[0] == own[0],
            lambda one, own: one[0] // _FAMILY == own[0] // _FAMILY,
            lambda one, own: True,
        )
        for alike in tests:
            for track, own in enumerate(wanted):
                free = (k for k, one in enumerate(self.voices) if k not in assigned.values() and alike(one, own))
                if track not in assigned and (chosen := next(free, None)) is not None:
                    assigned[track] = chosen
        # There are more tracks than voices: several share one.
        return [assigned.get(track, track % len(self.voices)) for track in range(len(wanted))]

    def fit(self, piece: Piece) -> Piece:
        """A piece moved to the meters, tempi, voices and velocities of the vocabulary; its notes keep their frames."""
        own = (piece.grid.steps_per_beat, piece.grid.beats_per_bar)
        steps, beats = min(self.meters, key=lambda one: (one[0] != own[0], abs(one[1] - own[1]), one))
        tempi = []
        tempo = before = _nearest(self.tempi, piece.grid.tempo)
        for frame, changed in piece.tempi:
            if (mark := _nearest(self.tempi, changed)) != before and frame < piece.length:
                tempi.append((frame, float(mark)))
                before = mark
        mapping = np.array(self.voices_for(piece), np.int64)
        count = len(piece.notes)
        track = np.zeros(count, np.int64) if piece.tracks is None else piece.tracks.track
        levels = np.array(self.velocities)
        velocity = levels[np.abs(_loudness(piece)[:, None] - levels).argmin(1)]
        tracks = Tracks(tuple(program for program, _ in self.voices), mapping[track], velocity)
        grid = Grid(steps, beats, float(tempo))
        return Piece.from_notes(piece.name, piece.notes, grid, piece.length, tracks=tracks, tempi=tuple(tempi))

    def encode(self, piece: Piece) -> EncodedPiece:
        """The events of a piece that `fit` returned."""
        assert piece.tracks is not None
        tokens: list[int] = []
        owner: list[int] = []
        bar, steps, current = -1, piece.grid.steps_per_bar, -1

        def write(kind: str, value: int, note: int) -> None:
            if (token := self.token(kind, value)) >= 0:
                tokens.append(token)
                owner.append(note)

        def move(frame: int, note: int) -> None:
            nonlocal bar, current
            if frame == current:
                return
            while bar < frame // steps:
                bar += 1
                write("bar", 0, note)
            write("position", frame % steps, note)
            current = frame

        track, velocity = piece.tracks.track, piece.tracks.velocity
        order = np.lexsort((-piece.notes[:, 2], track, piece.notes[:, 0])).tolist()
        first = order[0] if order else -1
        write("meter", self.meters.index((piece.grid.steps_per_beat, piece.grid.beats_per_bar)), first)
        write("tempo", self.tempi.index(int(piece.grid.tempo)), first)
        changes = list(piece.tempi)
        voice = (-1, -1)
        for index in order:
            start, end, pitch = piece.notes[index].tolist()
            while changes and changes[0][0] <= start:
                frame, tempo = changes.pop(0)
                move(frame, index)
                write("tempo", self.tempi.index(int(tempo)), index)
            move(start, index)
            if (start, int(track[index])) != voice:
                voice = (start, int(track[index]))
                write("voice", voice[1], index)
            write("pitch", pitch - LOWEST, index)
            write("velocity", self.velocities.index(int(velocity[index])), index)
            held, rest = divmod(end - start - 1, self.longest)
            for _ in range(held):
                write("held", 0, index)
            write("duration", rest, index)
        for frame, tempo in changes:
            move(frame, -1)
            write("tempo", self.tempi.index(int(tempo)), -1)
        move(piece.length, -1)
        write("end", 0, -1)
        return EncodedPiece(np.array(tokens, np.int64), np.array(owner, np.int64))

    def decode(self, tokens: Sequence[int], name: str = "", length: int = 0) -> Piece:
        """The piece of events, such as those that `encode` returns; also of a part of them, from the beginning.

        Args:
            tokens: legal, see `recurra.data.music.event_rules`.
            name: of the piece.
            length: frames at least, for events without an end.
        """
        meter = tempo = 0
        begin, frame, voice, pitch, velocity, held = 0, 0, 0, 0, 0, 0
        begun = False
        notes, voices, loud, tempi = [], [], [], []
        for token in tokens:
            kind, value = self.kinds[token], self.value(token)
            match kind:
                case "meter":
                    meter = value
                case "tempo" if begun:
                    tempi.append((frame, float(self.tempi[value])))
                case "tempo":
                    tempo = value
                case "bar":
                    begin += Grid(*self.meters[meter]).steps_per_bar if begun else 0
                    begun, frame = True, begin
                case "position":
                    frame = begin + value
                case "voice":
                    voice = value
                case "pitch":
                    pitch = LOWEST + value
                case "velocity":
                    velocity = value
                case "held":
                    held += self.longest
                case "duration":
                    notes.append((frame, frame + held + value + 1, pitch))
                    voices.append(voice)
                    loud.append(self.velocities[velocity])
                    held = 0
                case _:
                    length = max(length, frame)
        steps, beats = self.meters[meter]
        return Piece.from_notes(
            name,
            np.array(notes, np.int64).reshape(-1, 3),
            Grid(steps, beats, float(self.tempi[tempo])),
            length,
            tracks=Tracks(
                tuple(program for program, _ in self.voices), np.array(voices, np.int64), np.array(loud, np.int64)
            ),
            tempi=tuple(tempi),
        )


def _tempi_of(piece: Piece) -> list[float]:
    return [piece.grid.tempo, *(tempo for _, tempo in piece.tempi)]


def _mark(tempo: float) -> int:
    return _nearest(_MARKS, tempo)


def _nearest(marks: Sequence[int], tempo: float) -> int:
    """The mark whose ratio to a tempo is nearest to 1."""
    return min(marks, key=lambda mark: max(mark / tempo, tempo / mark))


def _voices_of(piece: Piece) -> list[Voice]:
    """The voice of each track."""
    programs = (0,) if piece.tracks is None else piece.tracks.programs
    seen: Counter[int] = Counter()
    voices = []
    for program in programs:
        voices.append((program, seen[program]))
        seen[program] += 1
    return voices


def _loudness(piece: Piece) -> np.ndarray:
    """The velocity of each note (K,), on the steps of the vocabulary."""
    if piece.tracks is None:
        return np.full(len(piece.notes), VELOCITY)
    steps = (piece.tracks.velocity + _VELOCITY_STEP // 2) // _VELOCITY_STEP * _VELOCITY_STEP
    return np.clip(steps, 1, 127)
