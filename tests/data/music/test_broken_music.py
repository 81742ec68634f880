"""Files that are no music, or hardly: each is refused in one line that names it, and nothing is left half-written."""

import io
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recurra.cli.main import main
from recurra.data.music.midi import write_midi
from recurra.data.music.piece import Grid, Piece
from recurra.data.music.read import read_music
from recurra.errors import DataError, ParameterError, RecurraError

pytest.importorskip("symusic")
savemat = pytest.importorskip("scipy.io").savemat

END, NOTE = b"\x00\xff\x2f\x00", b"\x00\x90\x3c\x40\x83\x60\x80\x3c\x00"
ROLL = np.eye(3, 88, 40)


def header(form: int = 0, tracks: int = 1, division: int = 480, size: int = 6) -> bytes:
    return b"MThd" + struct.pack(">IHHH", size, form, tracks, division)


def track(body: bytes, size: int | None = None) -> bytes:
    return b"MTrk" + struct.pack(">I", len(body) if size is None else size) + body


def after(ticks: int) -> bytes:
    """A delta time of MIDI."""
    digits = [ticks & 127]
    while ticks := ticks >> 7:
        digits.insert(0, 128 | (ticks & 127))
    return bytes(digits)


def array(shape: tuple[int, ...], content: bytes = b"") -> bytes:
    """An `.npz` file whose array states a shape and has this content."""
    file, member = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array_header_1_0(member, {"descr": "|u1", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("one.npy", member.getvalue() + content)
    return file.getvalue()


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def mat(**arrays: Any) -> bytes:
    file = io.BytesIO()
    savemat(file, arrays)
    return file.getvalue()


def cells(*members: Any) -> np.ndarray:
    made = np.empty((1, len(members)), object)
    made[0] = members
    return made


def abc(body: str, fields: str = "K:C\n") -> bytes:
    return f"X:1\n{fields}{body}\n".encode()


MIDI: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "empty"),
    "text": (b"hello\n" * 30, "MThd"),
    "zeros": (bytes(200), "MThd"),
    "cut in its header": (header()[:9], "header"),
    "header alone": (header(), "track 1 of 1"),
    "no tracks": (header(tracks=0), "no notes"),
    "no notes": (header() + track(END), "no notes"),
    "drums alone": (header() + track(NOTE.replace(b"\x90", b"\x99").replace(b"\x80", b"\x89") + END), "drums"),
    "a note that never ends": (header() + track(NOTE[:4] + END), "no notes"),
    "the end of a note alone": (header() + track(b"\x00\x80\x3c\x40" + END), "no notes"),
    "cut in its track": (header() + track(NOTE + END)[:-6], "track 1 of 1"),
    "one of two tracks": (header(1, 2) + track(NOTE + END), "track 2 of 2"),
    "a track longer than its length": (header() + track(NOTE + END, 3), "damaged"),
    "a track of a gigabyte": (header() + track(NOTE + END, 1 << 30), "track 1 of 1"),
    "a header of a gigabyte": (header(size=1 << 30) + track(NOTE + END), "expected 6"),
    "format 2": (header(2, 2) + 2 * track(NOTE + END), "format 2"),
    "format 9": (header(9) + track(NOTE + END), "format"),
    "frames of film": (header(division=0xE728) + track(NOTE + END), "SMPTE"),
    "no ticks": (header(division=0) + track(NOTE + END), "0 ticks"),
    "data before a status": (header() + track(b"\x00\x3c\x40" + NOTE + END), "damaged"),
    "a pitch beyond 127": (header() + track(NOTE.replace(b"\x3c", b"\xbc") + END), "damaged"),
    "a delta time without end": (header() + track(b"\xff" * 6 + NOTE + END), "damaged"),
    "ten hours of silence": (header() + track(after(480 * 72_000) + NOTE[1:] + END), "72,000 beats"),
    "thirty hours": (header() + track(after(480 * 216_000) + NOTE[1:] + END), "longer than a day"),
}
ABC: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "empty"),
    "no tune": (b"hello\n", "X:"),
    "no key": (b"X:1\nABC\n", "K:"),
    "no such key": (abc("A", "K:ZZ\n"), "ZZ"),
    "no music": (abc(""), "no notes"),
    "rests alone": (abc("z4|Z|"), "no notes"),
    "repeats without end": (abc("|:" + 700 * "A|" + "1-17 A:|"), "repeats"),
    "a tuplet of one": (abc("(1A B"), "tuplet"),
    "a tuplet of ten": (abc("(10ABCDEFGABC"), "tuplet"),
    "a tuplet in no time": (abc("(3:0:3ABC"), "tuplet"),
    "a chord that is open": (abc("[CEG"), "chord"),
    "a chord over a bar line": (abc("[CE | G] A"), "chord"),
    "a meter of nothing": (abc("A", "M:0/4\nK:C\n"), "M:"),
    "a unit of infinity": (abc("A", "L:1/0\nK:C\n"), "L:"),
    "voices": (abc("A", "K:C\nV:1\n"), "V:"),
    "below all keys": (abc("C,,,,,,,"), "88 keys"),
    "a line without end": (abc(20_000 * "{"), "10,000 characters"),
    "more notes than a piece has": (abc("|:" + 2_000 * "A" + "|1-12 A:|"), "20,000 notes"),
    "hours of rests": (abc("A Z900|" + "A"), "beats"),
    "weeks of rests": (abc("A Z900000|Z900000|A"), "day"),
    "UTF-16": ("X:1\nK:C\nA\n".encode("utf-16"), "UTF-16"),
}
ROLLS: dict[str, tuple[str, bytes, str]] = {
    "empty": ("npz", b"", "empty"),
    "text": ("npz", b"hello", "npz"),
    "cut": ("npz", npz(one=ROLL)[:-40], "npz"),
    "a bit that flipped": ("npz", npz(one=ROLL).replace(b"\xf0\x3f", b"\xf1\x3f"), "CRC"),
    "nothing": ("npz", npz(), "no piano rolls"),
    "pickled": ("npz", npz(one=np.array([{}], object)), "pickled"),
    "another shape": ("npz", npz(one=np.zeros((3, 5))), r"\(3, 5\)"),
    "on its side": ("npz", npz(one=ROLL.T), r"\(88, 3\)"),
    "three dimensions": ("npz", npz(one=np.zeros((3, 88, 2))), r"\(3, 88, 2\)"),
    "words": ("npz", npz(one=np.array([["a"] * 88])), "numbers"),
    "complex": ("npz", npz(one=ROLL * 1j), "complex"),
    "no frames": ("npz", npz(one=ROLL[:0]), "no frames"),
    "NaN": ("npz", npz(one=np.where(ROLL > 0, np.nan, 0)), "nan"),
    "infinity": ("npz", npz(one=np.where(ROLL > 0, np.inf, 0)), "inf"),
    "negative": ("npz", npz(one=-ROLL), "-1"),
    "silence": ("npz", npz(one=0 * ROLL), "no piece has a note"),
    "a shape of terabytes": ("npz", array((10**10, 88)), "10,000,000,000 frames"),
    "a shape without its content": ("npz", array((9, 88), bytes(10)), "npz"),
    "much from little": ("npz", array((10**6, 88), bytes(88 * 10**6)), "1,000,000 frames"),
    "empty mat": ("mat", b"", "empty"),
    "text mat": ("mat", b"hello", "mat"),
    "cut mat": ("mat", mat(traindata=ROLL)[:200], "mat"),
    "mat of version 7.3": ("mat", b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM\x89HDF\r\n\x1a\n", "-v7"),
    "mat without variables": ("mat", mat(), "no piano rolls"),
    "mat of a number": ("mat", mat(traindata=3.0), "traindata"),
    "mat of a structure": ("mat", mat(traindata={"a": ROLL}), "traindata"),
    "mat of no cells": ("mat", mat(traindata=cells()), "no piano rolls"),
    "mat of a roll and a word": ("mat", mat(traindata=cells(ROLL, "abc")), "traindata 2"),
}


@pytest.mark.parametrize(
    ("ending", "content", "fault"),
    [
        pytest.param(*one, id=f"{one[0]}: {name}")
        for name, one in [
            *((name, ("mid", *one)) for name, one in MIDI.items()),
            *((name, ("abc", *one)) for name, one in ABC.items()),
            *ROLLS.items(),
        ]
    ],
)
def test_a_broken_file_is_one_line(
    ending: str, content: bytes, fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"broken.{ending}"
    path.write_bytes(content)
    with pytest.raises(DataError, match=fault) as caught:
        read_music(path, 4)
    assert str(caught.value).startswith(str(path))
    assert main(["train", "music", "--data", str(path), "--out", str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err == f"recurra: error: {caught.value}\n"
    assert list(tmp_path.iterdir()) == [path]


def _links(folder: Path) -> None:
    (folder / "a.mid").symlink_to(folder / "gone.mid")


def _pipe(folder: Path) -> None:
    os.mkfifo(folder / "a.mid")


def _hidden(folder: Path) -> None:
    (folder / ".a.mid").write_bytes(header() + track(NOTE + END))


@pytest.mark.parametrize(
    ("fill", "fault"), [(lambda _: None, "no file"), (_links, "link to .*gone"), (_pipe, "pipe"), (_hidden, "no file")]
)
def test_folders_without_a_file_that_can_be_read(fill: Callable[[Path], Any], fault: str, tmp_path: Path) -> None:
    fill(tmp_path)
    with pytest.raises(DataError, match=fault):
        read_music(tmp_path, 4)
    if (path := tmp_path / "a.mid").is_symlink() or path.exists():
        with pytest.raises(DataError, match=fault):
            read_music(path, 4)


def test_each_broken_file_of_a_folder_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_midi(Piece.from_notes("one", np.array([[0, 2, 60], [2, 4, 64]]), Grid()), tmp_path / "whole.mid")
    for number, (ending, content) in enumerate(
        [("mid", one) for one, _ in MIDI.values()]
        + [("abc", one) for one, _ in ABC.values()]
        + [(ending, one) for ending, one, fault in ROLLS.values() if fault != "no piece has a note"]
    ):
        (tmp_path / f"{number}.{ending}").write_bytes(content)
    _links(tmp_path)
    broken = [path for path in tmp_path.iterdir() if path.name != "whole.mid"]
    music = read_music(tmp_path, 4, most_unusable=1.0)
    assert [piece.name for piece in music.parts["all"]] == ["whole"]
    assert len(music.problems) == len(broken) == len(caplog.messages)
    assert all("\n" not in line for line in caplog.messages)
    for path in broken:
        assert sum(f"{path}:" in line or f"{path}," in line for line in caplog.messages) == 1
    with pytest.raises(DataError, match=rf"{len(broken)} of {len(broken) + 1} files .*--most-unusable"):
        read_music(tmp_path, 4)


@pytest.mark.parametrize(
    "content",
    [
        header() + track(NOTE),
        header() + track(NOTE + END) + b"what a program left behind",
        header() + track(NOTE + after(480 * 72_000) + END[1:]),
        header() + track(b"\x00\xff\x51\x03\x00\x00\x00" + NOTE + END),
        header() + track(b"\x00\xff\x58\x04\x00\xff\x18\x08" + NOTE + END),
        header() + track(b"\x00\x90\x3c\x40\x00\x80\x3c\x00" + END),
    ],
    ids=["no end", "more after the end", "silence at the end", "tempo 0", "meter 0", "a note of no length"],
)
def test_doubtful_midi_is_read(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.mid").write_bytes(content)
    [piece] = read_music(tmp_path / "a.mid", 4).parts["all"]
    assert len(piece.notes) == 1
    assert (piece.grid.tempo, piece.grid.beats_per_bar) == (120, 4)


@pytest.mark.parametrize(
    "data",
    [5, None, True, b"a", {"a": 1}, "", [], ["a"], [None], [[1, 2]], ROLL, [2 * ROLL], [ROLL[:, :80]], [[[1], [1, 2]]]],
    ids=repr,
)
def test_data_that_are_no_music(data: Any) -> None:
    with pytest.raises(ParameterError, match="data: expected"):
        read_music(data, 4)


@pytest.mark.parametrize("path", ["gone.mid", "notes.doc", "-", "\0.mid", 5000 * "a"], ids=lambda one: one[:9])
def test_paths_to_nowhere(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecurraError, match=r"no such file|a text|standard input: music is read from a file"):
        read_music(path, 4)
