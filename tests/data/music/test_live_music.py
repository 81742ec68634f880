import json
import sys
from collections.abc import Generator, Iterator
from itertools import count, islice
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from recurra.data.music.live import LEAD, LiveMusic, frames_of_notes, frames_of_rolls, open_port
from recurra.data.music.piece import Grid, Piece
from recurra.data.music.pitches import LOWEST
from recurra.errors import MissingExtraError, ParameterError

GRID = Grid(4, 4.0, 120.0)  # eight frames a second


class Clock:
    """A time that passes where one sleeps, or samples a frame."""

    def __init__(self, interrupt_after: float = np.inf) -> None:
        self.now, self.interrupt_after = 1000.0, 1000 + interrupt_after

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds
        if self.now > self.interrupt_after:
            raise KeyboardInterrupt


def frames(clock: Clock, roll: np.ndarray, seconds: float = 0.01) -> Iterator[np.ndarray]:
    for frame in roll:
        clock.now += seconds
        yield frame


def played(live: LiveMusic, clock: Clock) -> tuple[dict[str, Any], list[dict[str, Any]], list[float]]:
    """The first line, the events, and when each was written before its time."""
    lines, ahead = [], []
    for line in live:
        assert line.endswith("\n")
        lines.append(json.loads(line))
        ahead.append(lines[0]["begins"] + lines[-1].get("time", 0) - clock.now)
    return lines[0], lines[1:], ahead[1:]


def test_events_are_the_roll_and_come_before_their_time() -> None:
    roll = np.random.default_rng(0).random((40, 88)) < 0.1
    clock = Clock()
    live = LiveMusic(frames_of_rolls(frames(clock, roll)), GRID, clock=clock, sleep=clock.sleep)
    first, events, ahead = played(live, clock)
    assert first == {"begins": 1000 + LEAD, "tempo": 120.0, "velocity": 80}
    assert min(ahead) > LEAD - 0.02
    assert max(ahead) <= LEAD + 1e-6
    assert [one["time"] for one in events] == sorted(one["time"] for one in events)
    begun: dict[int, float] = {}
    notes = []
    for one in events:
        if one["event"] == "note_on":
            assert one["pitch"] not in begun
            begun[one["pitch"]] = one["time"]
        else:
            notes.append((begun.pop(one["pitch"]) * 8, one["time"] * 8, one["pitch"]))
    assert not begun
    expected = Piece.from_roll("one", roll, GRID).notes.tolist()
    assert sorted([round(start), round(end), pitch] for start, end, pitch in notes) == sorted(expected)
    assert (live.frames_played, live.notes_played, live.late) == (40, len(expected), 0)


def test_frames_that_take_longer_than_they_last_are_counted() -> None:
    clock = Clock()
    live = LiveMusic(frames_of_rolls(frames(clock, np.eye(20, 88), 0.25)), GRID, clock=clock, sleep=clock.sleep)
    _, _, ahead = played(live, clock)
    # A frame lasts 0.125 s: the half second of lead is spent after four frames.
    assert live.late == sum(one < 0 for one in ahead[::2]) > 10


def test_an_interrupt_ends_the_notes_of_music_without_end() -> None:
    clock, sent = Clock(3.0), []
    endless = (np.eye(88)[[k % 7, 40]].max(0) for k in count())
    live = LiveMusic(frames_of_rolls(endless), GRID, None, sent.append, clock, clock.sleep)
    _, events, ahead = played(live, clock)
    assert live.frames_played == pytest.approx((3 - LEAD) * 8, abs=1)
    assert max(abs(one) for one in ahead[:-2]) < 1e-6  # a port is told at the time itself
    on = [one["pitch"] for one in events if one["event"] == "note_on"]
    off = [one["pitch"] for one in events if one["event"] == "note_off"]
    assert sorted(on) == sorted(off)
    assert on.count(LOWEST + 40) == 1  # a note that sounds on is one
    assert [message[1] for message in sent if message[0] == 0x90] == on
    assert sorted(message[1] for message in sent if message[0] == 0x80) == sorted(off)


def test_a_reader_that_leaves_ends_the_notes_of_the_port() -> None:
    clock, sent = Clock(), []
    rolls = frames_of_rolls(np.eye(88)[k % 88] for k in count())
    lines = iter(LiveMusic(rolls, GRID, None, sent.append, clock, clock.sleep))
    assert len(list(islice(lines, 4))) == 4
    lines.close()  # pyright: ignore[reportAttributeAccessIssue]
    assert sorted(one[1] for one in sent if one[0] == 0x80) == sorted(one[1] for one in sent if one[0] == 0x90)


def test_notes_of_tracks_with_their_tempi() -> None:
    clock, sent = Clock(), []
    given = [
        ([(4, 6, 60, 0, 90), (4, 5, 40, 12, 64)], None), ([], 60.0), ([(6, 7, 60, 0, 70)], None), ([], None),
    ]  # fmt: skip
    programs = (73, *[32] * 12)
    live = LiveMusic(frames_of_notes(given, 4), GRID, programs, sent.append, clock, clock.sleep)
    first, events, _ = played(live, clock)
    assert first == {"begins": 1000 + LEAD, "tempo": 120.0, "programs": list(programs)}
    shown = [(one["time"], one["event"], one.get("track"), one.get("pitch"), one.get("velocity")) for one in events]
    # A frame lasts an eighth of a second, and a quarter in half the tempo.
    assert shown == [
        (0, "note_on", 0, 60, 90), (0, "note_on", 12, 40, 64), (0.125, "tempo", None, None, None),
        (0.125, "note_off", 12, 40, None), (0.375, "note_off", 0, 60, None), (0.375, "note_on", 0, 60, 70),
        (0.625, "note_off", 0, 60, None),
    ]  # fmt: skip
    assert sent[:2] == [[0xC0, 73], [0xC1, 32]]
    # The tenth channel is that of drums.
    assert {one[0] & 15 for one in sent if one[0] >= 0xC0} == {*range(9), *range(10, 14)}
    assert sent[13:] == [
        [0x90, 60, 90], [0x9D, 40, 64], [0x8D, 40, 80], [0x80, 60, 80], [0x90, 60, 70], [0x80, 60, 80],
    ]  # fmt: skip


class Cable:
    """A port that fails at a message, and at another while notes are turned off."""

    def __init__(self, fails: tuple[int, ...]) -> None:
        self.fails, self.messages, self.sounding = fails, 0, set[int]()

    def send(self, message: list[int]) -> None:
        self.messages += 1
        # A message may have arrived although it failed.
        if message[0] == 0x90:
            self.sounding.add(message[1])
        if self.messages in self.fails:
            raise OSError("the cable is out")
        if message[0] == 0x80:
            self.sounding.discard(message[1])


@pytest.mark.parametrize(("fails", "sound_on"), [((3,), 0), ((5,), 0), ((6, 7), 1)])
def test_an_error_of_the_port_ends_all_other_notes(fails: tuple[int, ...], sound_on: int) -> None:
    clock, cable = Clock(), Cable(fails)
    rolls = [np.eye(88)[[k, k + 1, k + 2]].max(0) for k in range(20)]
    live = LiveMusic(frames_of_rolls(rolls), GRID, None, cable.send, clock, clock.sleep)
    lines = []
    with pytest.raises(OSError, match="cable"):
        lines.extend(json.loads(line) for line in live)
    assert len(cable.sounding) == sound_on
    on, off = ([one["pitch"] for one in lines if one.get("event") == kind] for kind in ("note_on", "note_off"))
    assert sorted(on) == sorted(off)


def test_an_interrupt_of_the_reader_ends_the_notes_of_its_lines() -> None:
    for after in range(2, 12):
        clock, sent = Clock(), []
        rolls = frames_of_rolls(np.eye(88)[[k % 7, 40, k % 5 + 50]].max(0) for k in count())
        pieces = iter(LiveMusic(rolls, GRID, None, sent.append, clock, clock.sleep))
        assert isinstance(pieces, Generator)
        lines = list(islice(pieces, after))
        lines += [pieces.throw(KeyboardInterrupt()), *pieces]
        sounding: set[int] = set()
        for one in map(json.loads, lines[1:]):
            (sounding.add if one["event"] == "note_on" else sounding.discard)(one["pitch"])
        assert not sounding
        off = sorted(one[1] for one in sent if one[0] == 0x80)
        assert off == sorted(one[1] for one in sent if one[0] == 0x90)


def test_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    output = SimpleNamespace(get_ports=lambda: ["Midi Through", "FLUID Synth (1)"], open_port=opened.append)
    monkeypatch.setitem(sys.modules, "rtmidi", SimpleNamespace(MidiOut=lambda: output))
    assert open_port("fluid") is output
    assert opened == [1]
    with pytest.raises(ParameterError, match=r"port.*Midi Through, FLUID"):
        open_port("piano")

    def without() -> Any:
        raise OSError("no sequencer\nhere")

    monkeypatch.setitem(sys.modules, "rtmidi", SimpleNamespace(MidiOut=without))
    with pytest.raises(ParameterError, match="no sequencer here"):
        open_port("piano")
    monkeypatch.setitem(sys.modules, "rtmidi", None)
    with pytest.raises(MissingExtraError, match="midiport"):
        open_port("piano")
