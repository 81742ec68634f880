"""Scores from the highest on: what lowering a threshold step by step does."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["descending"]


def descending(scores: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The order of steps by falling score, and where in it the threshold may stop: at the last of equal scores.

    Args:
        scores: (T,) float, without NaN.

    Returns:
        the order (T,), steps with equal scores as in the series, and the stops, one for each distinct score.
    """
    order = np.argsort(-scores, kind="stable")
    falling = scores[order]
    return order, np.flatnonzero(np.append(falling[1:] != falling[:-1], True))
