"""Handwriting that is made up: an alphabet of three letters, a stroke each."""

import json
from pathlib import Path

import numpy as np

__all__ = ["handwriting", "text_of", "write_ndjson"]

_LETTERS = {"v": [(2, 8), (2, -8)], "l": [(0, 10), (3, 0)], "z": [(5, 0), (-5, 8), (5, 0)]}


def text_of(seed: int) -> str:
    """Two to four letters."""
    generator = np.random.default_rng([seed, 1])
    return "".join(generator.choice(list(_LETTERS), int(generator.integers(2, 5))))


def handwriting(text: str, seed: int) -> np.ndarray:
    """The strokes (N, 3) of a text: each letter begins at its upper left."""
    generator = np.random.default_rng(seed)
    rows, at = [], np.zeros(2)
    for k, letter in enumerate(text):
        corner = np.array([8.0 * k, 0.0])
        if k:
            rows.append([*(corner - at), 0])
            at = corner
        for offset in _LETTERS[letter]:
            moved = np.array(offset) + generator.normal(0, 0.3, 2)
            rows.append([*moved, 0])
            at = at + moved
        rows[-1][2] = 1
    return np.array(rows, dtype=np.float32)


def write_ndjson(path: Path, count: int) -> Path:
    """A file of raw drawings with texts."""
    with path.open("w", encoding="utf-8") as file:
        for seed in range(count):
            points = np.cumsum(handwriting(text_of(seed), seed)[:, :2], axis=0).T.tolist()
            times = list(range(len(points[0])))
            file.write(json.dumps({"text": text_of(seed), "drawing": [[*points, times]]}) + "\n")
    return path
