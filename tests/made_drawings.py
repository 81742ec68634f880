"""Drawings that are made up: lines that turn left or right."""

from pathlib import Path

import numpy as np

__all__ = ["drawings", "turning", "write_npz"]


def turning(label: str, seed: int) -> np.ndarray:
    """Strokes that turn by a right angle at each point, 5 to 8 of them; the pen lifts at the end.

    Where the next point is depends on the class, and on the point before.
    """
    generator = np.random.default_rng(seed)
    angles = np.pi / 2 * (generator.integers(4) + np.arange(generator.integers(5, 9)) * (1 if label == "left" else -1))
    offsets = 20 * np.column_stack([np.cos(angles), np.sin(angles)]) + generator.normal(0, 2, (len(angles), 2))
    return np.column_stack([offsets, np.arange(len(angles)) == len(angles) - 1]).astype(np.float32)


def drawings(count: int, seed: int = 0) -> tuple[list[np.ndarray], list[str]]:
    """Strokes of two classes in turn, and their classes."""
    labels = ["left" if k % 2 else "right" for k in range(count)]
    return [turning(label, 1000 * seed + k) for k, label in enumerate(labels)], labels


def write_npz(path: Path, count: int = 24) -> Path:
    """A file as those of sketch-rnn, with a test part of 8 drawings and a validation part of 6."""
    parts = {}
    for seed, (name, size) in enumerate((("train", count), ("valid", 6), ("test", 8))):
        parts[name] = np.empty(size, dtype=object)
        parts[name][:] = [turning("left", 100 * seed + k) for k in range(size)]
    np.savez(path, **parts)
    return path
