"""Simple detectors that any other has to beat: scores from the values alone."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["moving_deviation", "random_scores", "seasonal_change"]

_LEAST = 1e-9


def moving_deviation(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """How far each value is from the mean of those before it, in their standard deviations; the largest channel's.

    Args:
        values: (T, C), NaN if missing.
        window: steps before each that are looked at.

    Returns:
        (T,); 0 if fewer than two steps come before.
    """
    filled = np.nan_to_num(values - np.nanmean(values, axis=0))
    sums = np.cumsum(np.pad(filled, ((1, 0), (0, 0))), axis=0)
    squares = np.cumsum(np.pad(filled**2, ((1, 0), (0, 0))), axis=0)
    at = np.arange(len(values))
    begin = np.maximum(at - window, 0)
    count = np.maximum(at - begin, 1)[:, None]
    mean = (sums[at] - sums[begin]) / count
    variance = (squares[at] - squares[begin]) / count - mean**2
    overall = np.maximum(filled.var(axis=0), _LEAST)
    scores = abs(filled - mean) / np.sqrt(np.maximum(variance, 1e-4 * overall))
    return np.where(at < 2, 0.0, scores.max(axis=1))


def seasonal_change(values: NDArray[np.float64], period: int) -> NDArray[np.float64]:
    """How far each value is from the one a period before it, in the standard deviations of the channel; their mean.

    Args:
        values: (T, C), NaN if missing.
        period: steps.

    Returns:
        (T,): 0 in the first period.
    """
    deviation = np.sqrt(np.maximum(np.nanvar(values, axis=0), _LEAST))
    scores = np.zeros(len(values))
    if len(values) > period:
        scores[period:] = (abs(np.nan_to_num(values[period:] - values[:-period])) / deviation).mean(axis=1)
    return scores


def random_scores(steps: int, seed: int) -> NDArray[np.float64]:
    """Scores (T,) that know nothing, uniform from 0 to 1."""
    return np.random.default_rng(seed).random(steps)
