"""Drawings stretched, and without some of their points, as sketch-rnn trains on them."""

import numpy as np

__all__ = ["merged", "stretched"]

_LEAST_POINTS = 2


def stretched(strokes: np.ndarray, amount: float, generator: np.random.Generator) -> np.ndarray:
    """Strokes (N, 3) with each direction multiplied by a factor that is uniform in 1 - `amount` to 1 + `amount`."""
    factors = np.append(generator.uniform(1 - amount, 1 + amount, size=2), 1.0)
    return (strokes * factors).astype(np.float32)


def merged(strokes: np.ndarray, probability: float, generator: np.random.Generator) -> np.ndarray:
    """Strokes (N, 3) some points of which are left out: their offset is added to that of the point after.

    A point within a line, after at least two others of it in `strokes`, is left out with `probability`; never the last
    of a line. The origin, with which the first line begins, is not in `strokes`.
    """
    chosen = generator.random(len(strokes)) < probability
    ends = strokes[:, 2] > 0
    # The points of its line before each, which begins after the line before it ended.
    begins = np.concatenate([[0], np.flatnonzero(ends) + 1])
    positions = np.arange(len(strokes))
    within = positions - begins[np.searchsorted(begins, positions, side="right") - 1]
    leaves = chosen & ~ends & (within >= _LEAST_POINTS) & (positions < len(strokes) - 1)
    if not leaves.any():
        return strokes
    points = np.cumsum(strokes[:, :2], axis=0, dtype=np.float64)[~leaves]
    offsets = np.diff(points, axis=0, prepend=np.zeros((1, 2)))
    return np.column_stack([offsets, strokes[~leaves, 2]]).astype(np.float32)
