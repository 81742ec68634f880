"""Recordings of a language of tones: each letter is a tone of its own, and a word is its letters."""

import json
from pathlib import Path

import numpy as np

from recurra.data.audio.sound import Sound

RATE = 8000
WORDS = ("ab", "ba", "cab", "c")
PAUSES = (0.12, 0.16, 0.2)  # seconds between words, of recordings to train on
_HERTZ = {"a": 500.0, "b": 1100.0, "c": 2100.0}


def spoken(text: str, seed: int, gap: float = 0.12, seconds_before: float = 0.1) -> Sound:
    """A text as tones of 0.12 seconds in a little noise, with a pause between words."""
    generator = np.random.default_rng(seed)
    parts = [np.zeros(int(seconds_before * RATE))]
    for word in text.split():
        for letter in word:
            seconds = np.arange(int(0.12 * RATE)) / RATE
            parts.append(np.sin(2 * np.pi * _HERTZ[letter] * seconds) * np.hanning(len(seconds)))
        parts.append(np.zeros(int(gap * RATE)))
    samples = np.concatenate([*parts, np.zeros(int(0.1 * RATE))])
    return Sound((0.3 * samples + 0.01 * generator.standard_normal(len(samples))).astype(np.float32), RATE)


def sentences(count: int, seed: int = 0) -> list[str]:
    """Texts of one to three words."""
    generator = np.random.default_rng(seed)
    return [" ".join(generator.choice(WORDS, generator.integers(1, 4))) for _ in range(count)]


def write_manifest(folder: Path, texts: list[str], name: str = "train.jsonl", seed: int = 0) -> Path:
    """A NeMo manifest of WAV files of two speakers."""
    import soundfile

    lines = []
    for k, text in enumerate(texts):
        sound = spoken(text, seed + k, PAUSES[k % 3])
        soundfile.write(folder / f"{name}-{k}.wav", sound.samples, RATE)
        row = {"audio_filepath": f"{name}-{k}.wav", "text": text, "speaker": f"s{k % 2}", "duration": sound.seconds}
        lines.append(json.dumps(row))
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
