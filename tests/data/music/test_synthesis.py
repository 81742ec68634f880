import wave
from pathlib import Path

import numpy as np
import pytest

from recurra.data.music.piece import Grid, Piece
from recurra.data.music.synthesis import SAMPLE_RATE, synthesize, write_wav


def tone(pitch: int, kind: str, beats: int = 4) -> np.ndarray:
    piece = Piece.from_notes("one", np.array([[0, 4 * beats, pitch]]), Grid(4, 4.0, 240.0))
    return synthesize(piece, kind)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("kind", ["sine", "saw", "plucked"])
def test_tones_have_their_pitch_and_level(kind: str) -> None:
    samples = tone(69, kind)
    assert np.abs(samples).max() == pytest.approx(0.891, abs=1e-3)
    assert 1.0 < len(samples) / SAMPLE_RATE < 1.2
    spectrum = np.abs(np.fft.rfft(samples[:SAMPLE_RATE]))  # a bin is one hertz
    assert abs(int(spectrum.argmax()) - 440) <= 1
    harmonics = spectrum[880] / spectrum[440]
    assert (harmonics < 0.01) if kind == "sine" else (0.2 < harmonics < 0.7)
    # It ends in silence, and begins without a click.
    assert max(abs(float(samples[0])), float(np.abs(samples[-5:]).max())) < 0.01
    fading = np.abs(samples[SAMPLE_RATE // 2 : SAMPLE_RATE]).max() / 0.891
    assert fading < 0.7 if kind == "plucked" else fading > 0.9


def test_the_highest_key_has_no_alias() -> None:
    spectrum = np.abs(np.fft.rfft(tone(108, "saw")[:SAMPLE_RATE]))
    assert spectrum[:4000].max() < 0.02 * spectrum[4186]


def test_a_wav_file_reads_back(tmp_path: Path) -> None:
    samples = tone(60, "plucked", 1)
    write_wav(samples, tmp_path / "one.wav")
    with wave.open(str(tmp_path / "one.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (SAMPLE_RATE, 1, 2)
        read = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32767
    assert np.abs(read - samples).max() < 1 / 32767
    assert not synthesize(Piece("silence", np.zeros((0, 3), int), 4)).any()
