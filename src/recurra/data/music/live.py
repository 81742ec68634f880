"""Music as it sounds: notes that begin and end, in time, as lines of JSON or to a MIDI port."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from recurra.data.music.piece import VELOCITY, Grid
from recurra.data.music.pitches import LOWEST
from recurra.errors import MissingExtraError, ParameterError

__all__ = ["LEAD", "LiveFrame", "LiveMusic", "LiveNote", "frames_of_notes", "frames_of_rolls", "open_port"]

LEAD = 0.5
"""Seconds before its time that an event is written."""
_NOTE_OFF, _NOTE_ON, _PROGRAM = 0x80, 0x90, 0xC0
_DRUMS, _CHANNELS = 9, 15  # the channel that General MIDI keeps for drums, and how many others there are
_JITTER = 0.02  # seconds that an operating system may wake late

LiveNote = tuple[int, int]
"""The index of the track of a note that sounds, and its MIDI pitch."""


class LiveFrame(NamedTuple):
    """What changes where a frame begins.

    Attributes:
        ended: notes that sounded before and end here.
        begun: notes that begin, with their velocities.
        tempo: beats a minute from here on; None: as before.
    """

    ended: list[LiveNote]
    begun: list[tuple[LiveNote, int]]
    tempo: float | None = None


def frames_of_rolls(rolls: Iterable[np.ndarray]) -> Iterator[LiveFrame]:
    """Frames of 0 and 1 (88,) each, as what changes. A note that sounds in frames that follow each other is one."""
    before: set[int] = set()
    for roll in rolls:
        now = {int(note) + LOWEST for note in np.flatnonzero(roll)}
        ended, begun = sorted(before - now), sorted(now - before)
        yield LiveFrame([(0, pitch) for pitch in ended], [((0, pitch), VELOCITY) for pitch in begun])
        before = now


def frames_of_notes(
    frames: Iterable[tuple[Iterable[tuple[int, int, int, int, int]], float | None]], first: int = 0
) -> Iterator[LiveFrame]:
    """Frames as what changes.

    Args:
        frames: the notes that begin in each, as the frame in which they start, the frame before which they end, pitch,
            track and velocity; and the new tempo, or None.
        first: the number of the first of these frames.
    """
    ending: dict[int, list[LiveNote]] = {}
    for frame, (notes, tempo) in enumerate(frames, first):
        begun = []
        for _, end, pitch, track, velocity in notes:
            begun.append(((track, pitch), velocity))
            ending.setdefault(end, []).append((track, pitch))
        yield LiveFrame(ending.pop(frame, []), begun, tempo)


class LiveMusic:
    """Plays frames in time: iterating yields a line of JSON for each event, `LEAD` seconds before its time.

    The first line has the moment at which time 0 is, in seconds since 1970, the tempo, and the velocity or, if there
    are tracks, their programs. Each other is a note that begins or ends, or a new tempo: `{"time": 2.5, "event":
    "note_on", "pitch": 64, "velocity": 80}`, where the time is in seconds; with tracks notes also have the index of
    theirs. A port receives the events at their time instead, and the lines are the same.

    An interrupt (Ctrl-C) ends the notes that sound, and the iteration. Whatever else ends the iteration, such as an
    error of a port or a reader that leaves, the port is told that its notes end, and so is a reader that is still
    there.

    Args:
        frames: what changes at each; they are asked for one by one, and may never end.
        grid: how they lie in time, at first.
        programs: of the tracks, as `Tracks` has them. None: there is one track, a piano.
        send: what sends a MIDI message, bytes in a list, at once. None: there is no port.
        clock: the time in seconds, as `time.time`.
        sleep: waits for so many seconds, as `time.sleep`.

    Attributes:
        frames_played: how many frames were written.
        notes_played: how many notes began.
        late: how many frames were written after their time, because they took longer to sample than they last.
    """

    def __init__(
        self,
        frames: Iterable[LiveFrame],
        grid: Grid,
        programs: tuple[int, ...] | None = None,
        send: Callable[[list[int]], object] | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.frames, self._grid, self.programs, self._send = frames, grid, programs, send
        self._clock, self._sleep = clock, sleep
        # The notes that sound at the port, and those that the reader of lines has been told of.
        self._at_port: set[LiveNote] = set()
        self._in_lines: set[LiveNote] = set()
        self.frames_played = self.notes_played = self.late = 0

    def __iter__(self) -> Iterator[str]:
        # A port is told at the time itself, a reader of lines before it.
        lead, jitter = (0.0, _JITTER) if self._send is not None else (LEAD, 0.0)
        begins, at, step = self._clock() + LEAD, 0.0, self._grid.seconds_per_step
        fault: Exception | None = None
        try:
            yield self._header(begins)
            since, frames = 0.0, 0  # when the tempo changed, and the frames after it
            for frame in self.frames:
                self._wait(begins + at - lead)
                if self._clock() > begins + at + jitter:
                    self.late += 1
                if frame.tempo is not None:
                    step = 60 / frame.tempo / self._grid.steps_per_beat
                    since, frames = at, 0
                    yield json.dumps({"time": round(at, 6), "event": "tempo", "tempo": frame.tempo}) + "\n"
                self._tell_port(frame)
                yield from self._lines(frame, at)
                self.frames_played += 1
                frames += 1
                at = since + frames * step
            self._wait(begins + at - lead)
        except KeyboardInterrupt:
            pass
        except Exception as error:
            fault = error
        finally:
            unheard = self._silence()
        for note in sorted(self._in_lines):
            yield self._line(at, "note_off", note)
        self._in_lines.clear()
        if fault is not None or unheard is not None:
            raise fault or unheard  # pyright: ignore[reportGeneralTypeIssues]

    def _header(self, begins: float) -> str:
        header: dict[str, Any] = {"begins": round(begins, 3), "tempo": self._grid.tempo}
        if self.programs is None:
            return json.dumps({**header, "velocity": VELOCITY}) + "\n"
        if self._send is not None:
            for track, program in enumerate(self.programs):
                self._send([_PROGRAM | _channel(track), program])
        return json.dumps({**header, "programs": self.programs}) + "\n"

    def _wait(self, until: float) -> None:
        if (seconds := until - self._clock()) > 0:
            self._sleep(seconds)

    def _tell_port(self, frame: LiveFrame) -> None:
        if self._send is None:
            return
        for note in frame.ended:
            self._send_off(note)
        for note, velocity in frame.begun:
            # Whatever happens while it is sent, it is turned off again.
            self._at_port.add(note)
            self._send([_NOTE_ON | _channel(note[0]), note[1], velocity])

    def _send_off(self, note: LiveNote) -> None:
        if self._send is not None:
            self._send([_NOTE_OFF | _channel(note[0]), note[1], VELOCITY])
            self._at_port.discard(note)

    def _silence(self) -> Exception | None:
        """Turn off what sounds at the port: every note, though one fails. Returns the last error of the port."""
        fault: Exception | None = None
        for note in sorted(self._at_port):
            try:
                self._send_off(note)
            except Exception as error:
                fault = error
        return fault

    def _lines(self, frame: LiveFrame, at: float) -> Iterator[str]:
        for note in frame.ended:
            yield self._line(at, "note_off", note)
            self._in_lines.discard(note)
        for note, velocity in frame.begun:
            self.notes_played += 1
            self._in_lines.add(note)
            yield self._line(at, "note_on", note, {"velocity": velocity})

    def _line(self, at: float, event: str, note: LiveNote, more: dict[str, Any] | None = None) -> str:
        track = {} if self.programs is None else {"track": note[0]}
        fields = {"time": round(at, 6), "event": event, **track, "pitch": note[1], **(more or {})}
        return json.dumps(fields) + "\n"


def _channel(track: int) -> int:
    """The MIDI channel of a track: that of drums is left out, and tracks beyond the last share the others."""
    channel = track % _CHANNELS
    return channel + (channel >= _DRUMS)


def open_port(name: str) -> Any:
    """Open the MIDI output port whose name contains a word, as an object with `send_message` and `close_port`.

    Raises:
        MissingExtraError: python-rtmidi is not installed.
        ParameterError: no port has such a name; or the machine has no MIDI.
    """
    try:
        import rtmidi  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise MissingExtraError("python-rtmidi", "midiport", "a MIDI port") from None
    try:
        output: Any = rtmidi.MidiOut()  # pyright: ignore[reportAttributeAccessIssue]
        ports = output.get_ports()
    except Exception as error:  # rtmidi raises errors of its own where the system has no sequencer
        reason = " ".join(str(error).split())
        raise ParameterError("port", "a machine with MIDI ports", name, f"The system says: {reason}") from error
    matching = [index for index, port in enumerate(ports) if name.lower() in port.lower()]
    if not matching:
        raise ParameterError("port", f"part of one of {', '.join(ports) or 'no ports: the machine has none'}", name)
    output.open_port(matching[0])
    return output
