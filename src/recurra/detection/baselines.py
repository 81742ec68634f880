"""Simple detectors that any other has to beat: scores from the values alone."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["moving_deviation", "random_scores", "seasonal_change"]

_LEAST = 1e-9
_MOST = 1e100  # beyond, squares are infinite


def moving_deviation(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """How far each value is from the mean of those before it, in their standard deviations; the largest channel's.

    Args:
        values: (T, C), NaN if missing.
        window: steps before each that are looked at.

    Returns:
        (T,): 0 if there are fewer than two steps before.
    """
    filled = _centred(values)
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
    variance = (_centred(values) ** 2).sum(axis=0) / np.maximum(np.isfinite(values).sum(axis=0), 1)
    scores = np.zeros(len(values))
    if len(values) > period:
        limited = np.clip(values, -_MOST, _MOST)
        changes = abs(np.nan_to_num(limited[period:] - limited[:-period]))
        scores[period:] = (changes / np.sqrt(np.maximum(variance, _LEAST))).mean(axis=1)
    return scores


def random_scores(steps: int, seed: int) -> NDArray[np.float64]:
    """Scores (T,) that know nothing, uniform from 0 to 1."""
    return np.random.default_rng(seed).random(steps)


def _centred(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Differences (T, C) from the mean of each channel, and 0 for missing values."""
    limited, came = np.clip(values, -_MOST, _MOST), np.isfinite(values)
    mean = np.where(came, limited, 0.0).sum(axis=0) / np.maximum(came.sum(axis=0), 1)
    return np.where(came, limited - mean, 0.0)
