"""Handwriting that is made up: words of an alphabet of strokes, each in a hand of its own."""

import json
from pathlib import Path

import numpy as np

__all__ = ["ALPHABET", "random_text", "write_handwriting", "written"]

# The points of the strokes of each letter, y downward: the line at 0, small letters up to -1, tall ones to -2.
_LETTERS: dict[str, list[list[tuple[float, float]]]] = {
    "a": [[(0.7, -0.85), (0.35, -1), (0.05, -0.55), (0.2, -0.05), (0.55, -0.15), (0.75, -1), (0.7, -0.2), (0.9, 0)]],
    "c": [[(0.75, -0.8), (0.4, -1), (0.08, -0.55), (0.3, -0.03), (0.78, -0.2)]],
    "d": [[(0.7, -0.85), (0.35, -1), (0.05, -0.55), (0.2, -0.05), (0.6, -0.2), (0.78, -2), (0.75, -0.3), (0.9, 0)]],
    "e": [[(0.1, -0.5), (0.7, -0.55), (0.6, -0.95), (0.3, -0.95), (0.08, -0.5), (0.25, -0.05), (0.75, -0.15)]],
    "h": [[(0.1, -2), (0.1, 0), (0.15, -0.55), (0.4, -1), (0.68, -0.7), (0.72, 0)]],
    "i": [[(0.1, -1), (0.1, -0.2), (0.25, 0)], [(0.1, -1.4), (0.14, -1.46)]],
    "l": [[(0.1, -2), (0.1, -0.25), (0.3, 0)]],
    "m": [[(0.05, -1), (0.05, 0), (0.12, -0.6), (0.32, -1), (0.5, -0.7), (0.5, 0), (0.58, -0.6), (0.78, -1),
           (0.95, -0.7), (0.97, 0)]],
    "n": [[(0.1, -1), (0.1, 0), (0.15, -0.55), (0.4, -1), (0.68, -0.7), (0.72, 0)]],
    "o": [[(0.45, -1), (0.08, -0.6), (0.25, -0.03), (0.65, -0.1), (0.8, -0.6), (0.42, -1)]],
    "r": [[(0.1, -1), (0.1, 0), (0.15, -0.55), (0.35, -0.92), (0.6, -0.95)]],
    "s": [[(0.65, -0.85), (0.35, -1), (0.15, -0.75), (0.6, -0.3), (0.4, 0), (0.08, -0.1)]],
    "t": [[(0.3, -1.6), (0.3, -0.2), (0.55, 0)], [(0.05, -1.05), (0.6, -1.05)]],
    "u": [[(0.1, -1), (0.12, -0.3), (0.35, 0), (0.65, -0.3), (0.7, -1), (0.72, -0.2), (0.88, 0)]],
    "w": [[(0.05, -1), (0.25, 0), (0.5, -0.8), (0.75, 0), (0.95, -1)]],
}  # fmt: skip
ALPHABET = "".join(_LETTERS)
_GAP, _SPACE = 0.3, 0.7
_BETWEEN = 6  # points of a curve from one point of a letter to the next


def written(text: str, generator: np.random.Generator) -> list[np.ndarray]:
    """The lines (n, 2) of a text in a random hand: slant, size, width, spacing, noise of points and of the line."""
    slant, size = generator.normal(0, 0.15), 40 * generator.lognormal(0, 0.12)
    width, gap = generator.lognormal(0, 0.1), _GAP * generator.lognormal(0, 0.2)
    shear = np.array([[width, 0.0], [-slant, 1.0]])
    at, lines = 0.0, []
    for character in text:
        strokes = _LETTERS.get(character, [])
        base = generator.normal(0, 0.04)
        for stroke in strokes:
            points = np.array(stroke) + generator.normal(0, 0.03, (len(stroke), 2))
            lines.append(size * (_curve(points) @ shear + [at * width, base]))
        right = max((x for stroke in strokes for x, _ in stroke), default=_SPACE - gap)
        at += right + gap
    return lines


def _curve(points: np.ndarray) -> np.ndarray:
    """A curve through points (n, 2) (Catmull and Rom 1974)."""
    padded = np.concatenate([points[:1], points, points[-1:]])
    t = np.arange(_BETWEEN)[:, None] / _BETWEEN
    pieces = [
        (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3) / 2
        for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False)
    ]
    return np.concatenate([*pieces, points[-1:]])


def random_text(generator: np.random.Generator, shortest: int = 3, longest: int = 8) -> str:
    """Random letters in words of 2 to 6 of them: no letter tells the next."""
    length, words = int(generator.integers(shortest, longest + 1)), ""
    while len(words) < length:
        words += "".join(generator.choice(list(ALPHABET), int(generator.integers(2, 7)))) + " "
    return words[:length].strip()


def write_handwriting(path: Path, count: int, seed: int) -> None:
    """Write so many texts in random hands as raw drawings of Quick, Draw! with `text`, a line each."""
    generator = np.random.default_rng(seed)
    with path.open("w", encoding="utf-8") as file:
        for _ in range(count):
            text = random_text(generator)
            strokes = [[*line.round(2).T.tolist(), list(range(len(line)))] for line in written(text, generator)]
            file.write(json.dumps({"word": "", "text": text, "drawing": strokes}) + "\n")
