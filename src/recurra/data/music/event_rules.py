"""Which events may follow others, around notes that are there before."""

import copy
import math
from dataclasses import dataclass, field

import numpy as np

from recurra.data.music.events import EventVocabulary
from recurra.data.music.piece import Grid, Piece
from recurra.data.music.pitches import LOWEST, NOTES

__all__ = ["ENDLESS", "EventRules", "EventState", "WrittenNote"]

WrittenNote = tuple[int, int, int, int, int]
"""The first frame of a note, the frame before which it ends, its pitch, the index of its voice and its velocity."""

ENDLESS = 2**62
"""The length of music without end."""


@dataclass
class EventState:
    """What was written so far.

    Attributes:
        ends: the frame before which the last note of each voice and pitch ends (voices, 88).
        kind: of the last event; "" for none.
        frame: where the writer stands.
        written: notes that were not there before.
        tokens: all events.
        meter: the index of the meter.
    """

    ends: np.ndarray
    meter: int = 0
    kind: str = ""
    frame: int = -1
    written: list[WrittenNote] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    tempo: int = -1
    voice: int = 0
    pitch: int = NOTES
    velocity: int = 0
    held: int = 0
    begin: int = -1
    notes_passed: int = 0
    tempi_passed: int = 0
    is_original: bool = False

    def copy(self) -> "EventState":
        """A state that continues apart from this one."""
        other = copy.copy(self)
        other.ends, other.written, other.tokens = self.ends.copy(), self.written.copy(), self.tokens.copy()
        return other


class EventRules:
    """What may be written, event by event, so that every sequence is that of a piece.

    A position follows a bar or what was written at an earlier position; something begins at it; a pitch has its
    velocity and its duration; voices rise and pitches fall within a position; no note begins where its voice still
    holds the pitch. Notes that are there before are written as they are, all of them. Others sound only where they may,
    and never where a note of their voice and pitch is there before. There is always an event that may follow, until the
    piece has its length.

    Args:
        vocabulary: V tokens.
        original: the notes and tempi that are there before, the meter and the first tempo, as
            `EventVocabulary.fit` returned it.
        length: T, frames in all, at least 1; `ENDLESS`: there is no end.
        free: where other notes may sound, bool (voices, 88, T); or (voices, 88), in every frame after the original.
        tempo_from: the frame from which the tempo may change otherwise.

    Attributes:
        length: frames.
        steps_per_bar: frames of the original's meter.
    """

    def __init__(
        self, vocabulary: EventVocabulary, original: Piece, length: int, free: np.ndarray, tempo_from: int = 0
    ) -> None:
        assert original.tracks is not None
        self.length, self.steps_per_bar = length, original.grid.steps_per_bar
        self._vocabulary, self._tempo_from = vocabulary, tempo_from
        self._bars = tuple(Grid(*meter).steps_per_bar for meter in vocabulary.meters)
        self._meter = vocabulary.meters.index((original.grid.steps_per_beat, original.grid.beats_per_bar))
        self._tempo = vocabulary.tempi.index(int(original.grid.tempo))
        self._tempi = [(frame, vocabulary.tempi.index(int(tempo))) for frame, tempo in original.tempi]
        levels = {velocity: index for index, velocity in enumerate(vocabulary.velocities)}
        tracks = original.tracks
        order = np.lexsort((-original.notes[:, 2], tracks.track, original.notes[:, 0])).tolist()
        self._notes = [
            (start, end, pitch - LOWEST, int(tracks.track[index]), levels[int(tracks.velocity[index])])
            for index in order
            for start, end, pitch in (original.notes[index].tolist(),)
        ]
        self._free, self._after = free, original.length
        self._room = _room(free, self._notes, length) if free.ndim == 3 else None

    def begin(self) -> EventState:
        """The state before the first event."""
        return EventState(np.zeros((len(self._vocabulary.voices), NOTES), np.int64), self._meter)

    def is_done(self, state: EventState) -> bool:
        """Whether the piece has its length."""
        return state.frame >= self.length

    def allowed(self, state: EventState) -> np.ndarray:
        """Which tokens may follow, bool (V,), at least one; the piece is not done."""
        tokens = np.zeros(len(self._vocabulary), bool)
        match state.kind:
            case "":
                self._first(tokens, ("meter", "tempo", "bar"))
            case "meter":
                self._first(tokens, ("tempo", "bar"))
            case "tempo" if state.begin < 0:
                self._first(tokens, ("bar",))
            case "voice":
                self._of(tokens, "pitch")[:] = self._pitches(state, state.voice, NOTES)
            case "pitch" if len(self._vocabulary.velocities) > 1:
                self._velocities(tokens, state)
            case "pitch" | "velocity" | "held":
                self._durations(tokens, state)
            case "position" if self._tempo_due(state) is not None:
                self._of(tokens, "tempo")[self._tempo_due(state)] = True
            case "position":
                self._beginnings(tokens, state)
                if state.frame >= self._tempo_from:
                    self._of(tokens, "tempo")[:] = np.arange(len(self._of(tokens, "tempo"))) != state.tempo
            case _:
                if state.kind != "bar":
                    self._beginnings(tokens, state)
                self._moves(tokens, state)
        return tokens

    def read(self, state: EventState, token: int) -> None:
        """Write a token that is allowed."""
        kind, value = self._vocabulary.kinds[token], self._vocabulary.value(token)
        match kind:
            case "meter":
                state.meter = value
            case "tempo":
                if state.begin >= 0 and self._tempo_due(state) is not None:
                    state.tempi_passed += 1
                state.tempo = value
            case "bar":
                state.begin = 0 if state.begin < 0 else state.begin + self._bars[state.meter]
                state.frame = state.begin
            case "position":
                state.frame = state.begin + value
                state.voice, state.pitch = (-1 if self._voiced else 0), NOTES
            case "voice":
                state.voice, state.pitch = value, NOTES
            case "pitch":
                due = self._due(state)
                state.pitch, state.velocity = value, 0
                state.is_original = due is not None and due[2:4] == (value, state.voice)
            case "velocity":
                state.velocity = value
            case "held":
                state.held += self._vocabulary.longest
            case "duration":
                end = state.frame + state.held + value + 1
                state.ends[state.voice, state.pitch], state.held = end, 0
                if state.is_original:
                    state.notes_passed += 1
                else:
                    loud = self._vocabulary.velocities[state.velocity]
                    state.written.append((state.frame, end, state.pitch + LOWEST, state.voice, loud))
            case _:
                pass
        state.kind = kind
        state.tokens.append(token)

    def density(self, state: EventState) -> np.ndarray:
        """How much sooner than the next bar each token lets a note begin (V,), from 0 to 1: 1 for now."""
        sooner = np.zeros(len(self._vocabulary))
        if state.kind in ("bar", "duration", "tempo") and state.begin >= 0:
            now, bar = state.frame - state.begin, self._bars[state.meter]
            positions = self._of(sooner, "position")
            later = np.arange(bar) - now
            positions[:bar] = np.where(later >= 0, 1 - later / (bar - now), 0)
            self._of(sooner, "pitch")[:] = self._of(sooner, "voice")[:] = 1
        return sooner

    @property
    def _voiced(self) -> bool:
        return len(self._vocabulary.voices) > 1

    def _of(self, tokens: np.ndarray, kind: str) -> np.ndarray:
        """The part of an array (V,) that is of a kind."""
        return tokens[self._vocabulary.tokens_of[kind]]

    def _first(self, tokens: np.ndarray, kinds: tuple[str, ...]) -> None:
        """Allow the first of some kinds that has events, with the value of the piece."""
        values = {"meter": self._meter, "tempo": self._tempo, "bar": 0}
        for kind in kinds:
            if len(self._of(tokens, kind)):
                self._of(tokens, kind)[values[kind]] = True
                return

    def _due(self, state: EventState) -> tuple[int, int, int, int, int] | None:
        """The next note that was there before, if it begins here."""
        if state.notes_passed < len(self._notes) and self._notes[state.notes_passed][0] == state.frame:
            return self._notes[state.notes_passed]
        return None

    def _tempo_due(self, state: EventState) -> int | None:
        """The tempo that was there before, if it begins here."""
        if state.tempi_passed < len(self._tempi) and self._tempi[state.tempi_passed][0] == state.frame:
            return self._tempi[state.tempi_passed][1]
        return None

    def _velocities(self, tokens: np.ndarray, state: EventState) -> None:
        if state.is_original:
            self._of(tokens, "velocity")[self._notes[state.notes_passed][4]] = True
        else:
            self._of(tokens, "velocity")[:] = True

    def _durations(self, tokens: np.ndarray, state: EventState) -> None:
        longest = self._vocabulary.longest
        if state.is_original:
            start, end = self._notes[state.notes_passed][:2]
            left = end - start - state.held
            if left > longest:
                self._of(tokens, "held")[:] = True
            else:
                self._of(tokens, "duration")[left - 1] = True
            return
        left = int(self._rooms(state.frame, 1)[state.voice, state.pitch, 0]) - state.held
        self._of(tokens, "duration")[:left] = True
        self._of(tokens, "held")[:] = left > longest

    def _pitches(self, state: EventState, voice: int, below: int) -> np.ndarray:
        """The pitches below one that may begin in a voice, bool (88,)."""
        here = (self._rooms(state.frame, 1)[voice, :, 0] > 0) & (state.ends[voice] <= state.frame)
        here[below:] = False
        if (due := self._due(state)) is not None and due[3] <= voice:
            here[: NOTES if due[3] < voice else due[2]] = False
            here[due[2]] |= due[3] == voice
        return here

    def _beginnings(self, tokens: np.ndarray, state: EventState) -> None:
        """Allow notes that begin here."""
        if state.voice >= 0:
            self._of(tokens, "pitch")[:] = self._pitches(state, state.voice, state.pitch)
        if self._voiced:
            for voice in range(state.voice + 1, len(self._vocabulary.voices)):
                self._of(tokens, "voice")[voice] = self._pitches(state, voice, NOTES).any()

    def _moves(self, tokens: np.ndarray, state: EventState) -> None:
        """Allow to go on to later positions and to the next bar, but not past what was there before."""
        passed, changed = state.notes_passed, state.tempi_passed
        barrier = min(
            self._notes[passed][0] if passed < len(self._notes) else math.inf,
            self._tempi[changed][0] if changed < len(self._tempi) else math.inf,
        )
        # Of a bar, its first position is not yet reached.
        first = state.frame + (state.kind != "bar")
        if barrier < first:
            return
        after = state.begin + self._bars[state.meter]
        frames = np.arange(first, int(min(after, self.length, barrier + 1)))
        if len(frames):
            sounding = state.ends[:, :, None] > frames
            able = ((self._rooms(frames[0], len(frames)) > 0) & ~sounding).any((0, 1)) | (frames == barrier)
            self._of(tokens, "position")[frames - state.begin] = able
        self._of(tokens, "bar")[:] = barrier >= after

    def _rooms(self, first: int, count: int) -> np.ndarray:
        """For how many frames a note of each voice and pitch may sound from some frames on (voices, 88, count)."""
        if self._room is not None:
            return self._room[:, :, first : first + count]
        frames = np.arange(first, first + count)
        return np.where(self._free[:, :, None] & (frames >= self._after), self.length - frames, 0)


def _room(free: np.ndarray, notes: list[tuple[int, int, int, int, int]], length: int) -> np.ndarray:
    """For how many frames a note of each voice and pitch may sound from each frame on (voices, 88, T), int32."""
    free = free.copy()
    for start, end, pitch, voice, _ in notes:
        free[voice, pitch, start:end] = False
    frames = np.arange(length, dtype=np.int32)
    blocked = np.where(free, np.int32(length), frames)
    return np.minimum.accumulate(blocked[:, :, ::-1], axis=2)[:, :, ::-1] - frames
