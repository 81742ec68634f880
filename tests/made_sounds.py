"""Made recordings: tones and noise, and files of them."""

from pathlib import Path

import numpy as np
import soundfile

FORMATS = {
    "wav": ("WAV", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}


def tone(seconds: float = 1.0, rate: int = 16000, hertz: float = 440.0, seed: int = 0) -> np.ndarray:
    """A tone in a little noise (N,) float32."""
    times = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(seed).standard_normal(len(times))
    return (0.3 * np.sin(2 * np.pi * hertz * times) + 0.01 * noise).astype(np.float32)


def write_sound(path: Path, samples: np.ndarray, rate: int = 16000) -> Path:
    """Write samples (N,) or (N, C) in the format of the file's ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    container, subtype = FORMATS[path.suffix[1:]]
    soundfile.write(path, samples, rate, format=container, subtype=subtype)
    return path
