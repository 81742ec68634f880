"""A small synthesiser: pieces as samples, and as WAV files."""

import wave
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from recurra.data.music.piece import Piece
from recurra.files import write_atomically

__all__ = ["SAMPLE_RATE", "TONES", "Tone", "normalized", "synthesize", "write_wav"]

SAMPLE_RATE = 44100
Tone = Literal["plucked", "sine", "saw"]
_HIGHEST = 0.45 * SAMPLE_RATE  # Hz, of a harmonic
_PEAK = 0.891  # one decibel below full scale


class _Timbre(NamedTuple):
    """How a tone sounds.

    Attributes:
        harmonics: at most.
        decay: the rate in 1/s at which the fundamental fades; harmonic k fades k times as fast. 0: it is sustained.
        attack: seconds until the tone is at its loudest.
        release: seconds that it sounds on after its end.
    """

    harmonics: int
    decay: float
    attack: float
    release: float


TONES: dict[str, _Timbre] = {
    "plucked": _Timbre(12, 1.2, 0.003, 0.12),
    "sine": _Timbre(1, 0.0, 0.02, 0.08),
    "saw": _Timbre(24, 0.0, 0.01, 0.06),
}


def synthesize(piece: Piece, tone: Tone = "plucked") -> np.ndarray:
    """The samples of a piece (S,), float32, at `SAMPLE_RATE` a second.

    Tones are sums of harmonics below the Nyquist frequency, of amplitude 1 / k, in equal temperament with A4 at 440 Hz.
    The loudest sample is one decibel below full scale; a piece without notes is silent.

    Args:
        piece: what is played, each track with the same tone; a note's amplitude is its velocity over 127.
        tone: "plucked" fades, the higher a harmonic the faster; "sine" and "saw" are sustained.
    """
    performance, timbre = piece.performance, TONES[tone]
    notes, loudness = performance.notes, performance.tracks.velocity / 127
    times = np.round(performance.seconds(notes[:, :2]) * SAMPLE_RATE).astype(np.int64)
    samples = np.zeros(round((piece.duration + timbre.release) * SAMPLE_RATE) + 1)
    for (first, last), pitch, loud in zip(times.tolist(), notes[:, 2].tolist(), loudness.tolist(), strict=True):
        sound = _note(pitch, last - first, timbre)
        samples[first : first + len(sound)] += loud * sound[: len(samples) - first]
    return normalized(samples)


def normalized(samples: np.ndarray) -> np.ndarray:
    """Samples (S,), float32, whose loudest is one decibel below full scale; silence stays silent."""
    loudest = np.abs(samples).max()
    return (samples * (_PEAK / loudest if loudest else 0)).astype(np.float32)


def write_wav(samples: np.ndarray, path: Path) -> None:
    """Write samples (S,) in [-1, 1] as a WAV file of 16 bits, one channel. Raises RunError."""
    values = np.clip(np.round(samples * 32767), -32768, 32767).astype("<i2")

    def write(aside: Path) -> None:
        with wave.open(str(aside), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE)
            file.writeframes(values.tobytes())

    write_atomically(path, write)


@lru_cache(maxsize=512)
def _note(pitch: int, length: int, timbre: _Timbre) -> np.ndarray:
    """One note, with its release after `length` samples."""
    released = round(timbre.release * SAMPLE_RATE)
    time = np.arange(length + released) / SAMPLE_RATE
    frequency = 440 * 2 ** ((pitch - 69) / 12)
    sound = np.zeros(len(time))
    for harmonic in range(1, max(min(timbre.harmonics, int(_HIGHEST / frequency)), 1) + 1):
        fading = np.exp(-timbre.decay * harmonic * time) if timbre.decay else 1.0
        sound += fading * np.sin(2 * np.pi * harmonic * frequency * time) / harmonic
    envelope = np.minimum(time / timbre.attack, 1.0)
    envelope[length:] *= np.linspace(1, 0, released)
    return sound * envelope
