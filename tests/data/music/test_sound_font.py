import io
import struct
from pathlib import Path

import numpy as np
import pytest

from recurra.data.music.performance import Tracks
from recurra.data.music.piece import Grid, Piece
from recurra.data.music.sound_font import check_sound_font, render
from recurra.errors import DataError

try:
    import fluidsynth  # noqa: F401
except ImportError:
    pytest.skip("pyfluidsynth and FluidSynth's library", allow_module_level=True)

RATE = 44100
SAMPLE_MODES, SAMPLE_ID, INSTRUMENT, RELEASE = 54, 53, 41, 38


def chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def records(form: str, *rows: tuple) -> bytes:
    return b"".join(struct.pack(f"<{form}", *row) for row in rows)


def sound_font(*programs: int) -> bytes:
    """A sound font whose instruments all are a sine that repeats."""
    period = (12000 * np.sin(2 * np.pi * np.arange(100) / 100)).astype("<i2")  # 441 Hz
    samples = np.concatenate([np.tile(period, 10), np.zeros(60, "<i2")]).astype("<i2").tobytes()
    presets = [(f"preset {k}".encode(), program, 0, k, 0, 0, 0) for k, program in enumerate(programs)]
    count = len(programs)
    tables = (
        (b"phdr", records("20sHHHIII", *presets, (b"EOP", 0, 0, count, 0, 0, 0))),
        (b"pbag", records("HH", *((k, 0) for k in range(count + 1)))),
        (b"pmod", records("HHhHH", (0, 0, 0, 0, 0))),
        (b"pgen", records("Hh", *((INSTRUMENT, 0) for _ in programs), (0, 0))),
        (b"inst", records("20sH", (b"sine", 0), (b"EOI", 1))),
        (b"ibag", records("HH", (0, 0), (3, 0))),
        (b"imod", records("HHhHH", (0, 0, 0, 0, 0))),
        (b"igen", records("Hh", (RELEASE, -4000), (SAMPLE_MODES, 1), (SAMPLE_ID, 0), (0, 0))),
        (b"shdr", records("20sIIIIIBbHH", (b"sine", 0, 1000, 100, 900, RATE, 69, 0, 0, 1),
                          (b"EOS", 0, 0, 0, 0, 0, 0, 0, 0, 0))),
    )  # fmt: skip
    body = io.BytesIO()
    body.write(b"sfbk")
    info = chunk(b"ifil", struct.pack("<HH", 2, 1)) + chunk(b"isng", b"EMU8000\0") + chunk(b"INAM", b"made\0\0")
    body.write(chunk(b"LIST", b"INFO" + info))
    body.write(chunk(b"LIST", b"sdta" + chunk(b"smpl", samples)))
    body.write(chunk(b"LIST", b"pdta" + b"".join(chunk(*one) for one in tables)))
    return chunk(b"RIFF", body.getvalue())


@pytest.fixture
def font(tmp_path: Path) -> Path:
    path = tmp_path / "made.sf2"
    path.write_bytes(sound_font(0, 5))
    return path


@pytest.mark.parametrize("pitch", [57, 69, 76])
def test_a_note_has_its_pitch_its_time_and_its_level(font: Path, pitch: int) -> None:
    samples = render(Piece.from_notes("one", np.array([[4, 12, pitch]]), Grid(4, 4.0, 240.0)), font)
    assert samples.dtype == np.float32
    assert np.abs(samples).max() == pytest.approx(0.891, abs=1e-3)
    assert len(samples) / RATE == pytest.approx(0.75 + 2)
    loud = np.abs(samples) > 0.3
    assert loud.argmax() / RATE == pytest.approx(0.25, abs=0.02)
    assert not loud[round(0.85 * RATE) :].any()
    spectrum = np.abs(np.fft.rfft(samples[round(0.3 * RATE) : round(0.7 * RATE)], RATE))  # a bin is one hertz
    assert int(spectrum.argmax()) == pytest.approx(441 * 2 ** ((pitch - 69) / 12), rel=0.01)


def test_programs_that_lack_are_played_by_the_first_and_velocities_are_heard(font: Path) -> None:
    notes = np.array([[0, 2, 60], [8, 10, 64]])
    piece = Piece.from_notes("one", notes, Grid(), tracks=Tracks((5, 99), np.array([0, 1]), np.array([127, 40])))
    samples = np.abs(render(piece, font))
    middle = RATE // 2
    assert samples[:middle].max() > 2 * samples[middle:].max() > 0.01
    assert np.array_equal(samples, np.abs(render(piece, font)))
    nothing = Piece("silence", np.zeros((0, 3), int), 4)
    assert not render(nothing, font).any()


@pytest.mark.parametrize("content", [b"", b"hello", sound_font(0)[:300], b"RIFF\0\0\0\0WAVE"])
def test_what_is_no_sound_font(content: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.sf2").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.sf2"):
        render(Piece.from_notes("one", np.array([[0, 1, 60]]), Grid()), tmp_path / "a.sf2")
    assert capfd.readouterr() == ("", "")
    with pytest.raises(DataError, match="no such file"):
        check_sound_font(tmp_path / "gone.sf2")
