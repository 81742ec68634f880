"""Simple detectors that any other has to beat: scores from the values alone, which use nothing that comes later."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["moving_deviation", "random_scores", "seasonal_change"]

_LEAST = 1e-4  # variance of a moving window, of standardised values


def moving_deviation(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """How far each value is from the mean of those before it, in their standard deviations; the largest channel's.

    Args:
        values: (T, C), standardised, without missing ones.
        window: steps before each that are looked at.

    Returns:
        (T,); 0 if fewer than two steps come before.
    """
    sums = np.cumsum(np.pad(values, ((1, 0), (0, 0))), axis=0)
    squares = np.cumsum(np.pad(values**2, ((1, 0), (0, 0))), axis=0)
    at = np.arange(len(values))
    begin = np.maximum(at - window, 0)
    count = np.maximum(at - begin, 1)[:, None]
    mean = (sums[at] - sums[begin]) / count
    variance = (squares[at] - squares[begin]) / count - mean**2
    scores = abs(values - mean) / np.sqrt(np.maximum(variance, _LEAST))
    return np.where(at < 2, 0.0, scores.max(axis=1))


def seasonal_change(values: NDArray[np.float64], period: int) -> NDArray[np.float64]:
    """How far each value is from the one a period before it, the mean of the channels.

    Args:
        values: (T, C), standardised, without missing ones.
        period: steps.

    Returns:
        (T,): 0 in the first period.
    """
    scores = np.zeros(len(values))
    scores[period:] = abs(values[period:] - values[:-period]).mean(axis=1) if len(values) > period else 0.0
    return scores


def random_scores(steps: int, seed: int) -> NDArray[np.float64]:
    """Scores (T,) that know nothing, uniform from 0 to 1."""
    return np.random.default_rng(seed).random(steps)
