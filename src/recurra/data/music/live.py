"""Music as it sounds: notes that begin and end, in time, as lines of JSON or to a MIDI port."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from recurra.data.music.piece import VELOCITY, Grid
from recurra.data.music.pitches import LOWEST
from recurra.errors import MissingExtraError, ParameterError

__all__ = ["LEAD", "LiveMusic", "open_port"]

LEAD = 0.5
"""Seconds before its time that an event is written."""
_NOTE_ON, _NOTE_OFF = 0x90, 0x80
_JITTER = 0.02  # seconds that an operating system may wake late


class LiveMusic:
    """Plays frames in time: iterating yields a line of JSON for each event, `LEAD` seconds before its time.

    The first line has the moment at which time 0 is, in seconds since 1970, and the tempo. Each other is a note that
    begins or ends: `{"time": 2.5, "event": "note_on", "pitch": 64, "velocity": 80}`, where the time is in seconds. A
    port receives the events at their time instead, and the lines are the same. An interrupt (Ctrl-C) ends the notes
    that sound, and the iteration.

    Args:
        frames: (N,) each, of 0 and 1; they are asked for one by one, and may never end.
        grid: how they lie in time.
        send: what sends a MIDI message of three bytes at once. None: there is no port.
        clock: the time in seconds, as `time.time`.
        sleep: waits for so many seconds, as `time.sleep`.

    Attributes:
        frames_played: how many frames were written.
        notes_played: how many notes began.
        late: how many frames were written after their time, because they took longer to sample than they last.
    """

    def __init__(
        self,
        frames: Iterable[np.ndarray],
        grid: Grid,
        send: Callable[[list[int]], object] | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._frames, self._grid, self._send, self._clock, self._sleep = frames, grid, send, clock, sleep
        self._sounding: set[int] = set()
        self.frames_played = self.notes_played = self.late = 0

    def __iter__(self) -> Iterator[str]:
        # A port is told at the time itself, a reader of lines before it.
        lead = 0.0 if self._send is not None else LEAD
        begins = self._clock() + LEAD
        yield json.dumps({"begins": round(begins, 3), "tempo": self._grid.tempo, "velocity": VELOCITY}) + "\n"
        try:
            for frame in self._frames:
                at = self.frames_played * self._grid.seconds_per_step
                self._wait(begins + at - lead)
                if self._clock() > begins + at + (_JITTER if self._send is not None else 0):
                    self.late += 1
                yield from self._change({int(note) + LOWEST for note in np.flatnonzero(frame)}, at)
                self.frames_played += 1
            at = self.frames_played * self._grid.seconds_per_step
            self._wait(begins + at - lead)
        except KeyboardInterrupt:
            at = self.frames_played * self._grid.seconds_per_step
        finally:
            for pitch in self._sounding:
                self._tell(_NOTE_OFF, pitch)
        yield from (self._line(at, "note_off", pitch) for pitch in sorted(self._sounding))
        self._sounding = set()

    def _wait(self, until: float) -> None:
        if (seconds := until - self._clock()) > 0:
            self._sleep(seconds)

    def _change(self, sounding: set[int], at: float) -> list[str]:
        """Tell the port of the notes that end and begin. Returns their lines."""
        lines = []
        for pitch in sorted(self._sounding - sounding):
            self._tell(_NOTE_OFF, pitch)
            lines.append(self._line(at, "note_off", pitch))
        for pitch in sorted(sounding - self._sounding):
            self._tell(_NOTE_ON, pitch)
            lines.append(self._line(at, "note_on", pitch))
            self.notes_played += 1
        self._sounding = sounding
        return lines

    def _tell(self, status: int, pitch: int) -> None:
        if self._send is not None:
            self._send([status, pitch, VELOCITY])

    def _line(self, at: float, event: str, pitch: int) -> str:
        fields: dict[str, Any] = {"time": round(at, 6), "event": event, "pitch": pitch}
        return json.dumps(fields if event == "note_off" else {**fields, "velocity": VELOCITY}) + "\n"


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
