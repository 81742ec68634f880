import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from made_sounds import tone, write_sound
from recurra.data.audio.pcm import pcm_chunks
from recurra.data.audio.sound import Sound, resampled
from recurra.errors import DataError, ParameterError


def raw(samples: np.ndarray) -> bytes:
    return (samples * 32767).astype("<i2").tobytes()


def wav_header(channels: int = 1, rate: int = 16000) -> bytes:
    form = struct.pack("<IHHIIHH", 16, 1, channels, rate, 2 * channels * rate, 2 * channels, 16)
    return b"RIFF" + bytes(4) + b"WAVEfmt " + form + b"data" + bytes(4)


def read(content: bytes, rate: int = 16000, **options: float) -> list[np.ndarray]:
    return list(pcm_chunks(rate, stream=io.BytesIO(content), **options))  # type: ignore[arg-type]


@pytest.mark.parametrize("seconds", [0.0001, 0.1, 0.13, 10.0])
def test_raw_samples_come_in_chunks(seconds: float) -> None:
    samples = tone(0.5)
    chunks = read(raw(samples), seconds=seconds)
    assert max(map(len, chunks)) <= max(round(seconds * 16000), 2)
    joined = np.concatenate(chunks)
    assert joined.dtype == np.float32
    np.testing.assert_allclose(joined, samples, atol=1e-4)
    # Half a sample at the end is left out.
    assert np.array_equal(np.concatenate(read(raw(samples) + b"x", seconds=seconds)), joined)


def test_channels_are_averaged_and_rates_converted() -> None:
    stereo = np.stack([tone(0.5, 44100, 300), tone(0.5, 44100, 500)], axis=1)
    chunks = read(raw(stereo.reshape(-1)), source_rate=44100, channels=2)
    expected = resampled(Sound(stereo.mean(axis=1), 44100), 16000).samples
    assert len(chunks) >= 4
    np.testing.assert_allclose(np.concatenate(chunks), expected, atol=1e-3)


def test_a_wav_stream_states_its_rate(tmp_path: Path) -> None:
    samples = np.stack([tone(0.3, 8000), tone(0.3, 8000, 700)], axis=1)
    content = write_sound(tmp_path / "a.wav", samples, 8000).read_bytes()
    # A program that does not know the length in advance, as arecord, states the largest.
    endless = content.replace(content[content.index(b"data") :][:8], b"data" + b"\xff" * 4)
    for stream in (content, endless):
        np.testing.assert_allclose(np.concatenate(read(stream, 8000)), samples.mean(axis=1), atol=1e-4)


def test_bad_streams_are_refused(tmp_path: Path) -> None:
    for nothing in (b"", b"x", wav_header()):
        with pytest.raises(DataError, match=r"standard input: there are no samples"):
            read(nothing)
    with pytest.raises(DataError, match="neither raw samples nor a WAV stream"):
        read(b"RIFF1234AVI LIST")
    damaged = [wav_header(channels=0), wav_header(rate=0), wav_header().replace(b"fmt ", b"else")]
    for header in (b"RIFF1234WAVE", b"RIFF1234WAVEfmt \4\0\0\0\1\0\1\0data\2\0\0\0", *damaged):
        with pytest.raises(DataError, match="header of the WAV stream is damaged"):
            read(header + b"xx")
    soundfile.write(tmp_path / "b.wav", tone(0.1), 16000, subtype="FLOAT")
    with pytest.raises(DataError, match=r"32-bit.*expected 16-bit"):
        read((tmp_path / "b.wav").read_bytes())
    with pytest.raises(ParameterError, match="seconds"):
        read(b"1234", seconds=0.0)
