"""Subsequences that the main directions of normal ones do not explain."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Subsequences", "flat", "spread", "window_length", "windows_of"]

_MOST_WINDOWS = 1000  # to learn from, spread over all
_MOST_VALUES = 600  # of a window
_CHUNK = 4096


@dataclass(frozen=True)
class Subsequences:
    """A principal-component model of the windows of normal series.

    The score of a window is its squared distance from the plane through the mean that explains 80 % of the variance of
    normal windows. The step's score is that of the window that ends with it, or, in hindsight, the mean over all
    windows that hold it. Steps before the end of the first window have the score 0.

    Attributes:
        length: W, steps of a window.
        mean: (W * C,) of the windows.
        directions: (R, W * C), orthonormal.
    """

    length: int
    mean: NDArray[np.float64]
    directions: NDArray[np.float64]

    @classmethod
    def fit(cls, series: list[NDArray[np.float64]], length: int, explained: float = 0.8) -> Self:
        """Learn from standardised series (T, C) without missing values.

        Args:
            series: at least one has two steps.
            length: of a window at most; a shorter one is taken for short series and for many channels.
            explained: the fraction of the variance that the plane explains.
        """
        length = window_length(series, length)
        views = [windows_of(one, length) for one in series if len(one) >= length]
        every = max(1, sum(map(len, views)) // _MOST_WINDOWS)
        chosen = np.concatenate([flat(view[::every]) for view in views])
        mean = chosen.mean(axis=0)
        _, sizes, directions = np.linalg.svd(chosen - mean, full_matrices=False)
        total = np.cumsum(sizes**2)
        count = int(np.searchsorted(total, explained * total[-1])) + 1
        return cls(length, mean, directions[:count])

    def scores(self, values: NDArray[np.float64], hindsight: bool = False) -> NDArray[np.float64]:
        """The scores (T,) of a standardised series (T, C) without missing values."""
        if len(values) < self.length:
            return np.zeros(len(values))
        windows = windows_of(values, self.length)
        errors = np.concatenate([self._errors(flat(windows[a : a + _CHUNK])) for a in range(0, len(windows), _CHUNK)])
        return spread(errors, self.length, hindsight)

    def _errors(self, windows: NDArray[np.float64]) -> NDArray[np.float64]:
        deviations = windows - self.mean
        rest = deviations - deviations @ self.directions.T @ self.directions
        return (rest**2).mean(axis=1)


def window_length(series: list[NDArray[np.float64]], length: int) -> int:
    """The steps of windows of series (T, C): `length`, or fewer for short series and for many channels."""
    return max(1, min(length, max(map(len, series)) // 3, _MOST_VALUES // series[0].shape[1]))


def spread(scores: NDArray[np.float64], length: int, hindsight: bool) -> NDArray[np.float64]:
    """The scores of steps (T,) by those of windows (T - W + 1,).

    A step has the score of the window that ends with it, 0 before the end of the first; in hindsight the mean over all
    windows that hold it.
    """
    ends = np.concatenate([np.zeros(length - 1), scores])
    if not hindsight:
        return ends
    padded = np.concatenate([ends, np.full(length - 1, ends[-1])])
    sums = np.cumsum(np.concatenate([[0.0], padded]))
    return (sums[length:] - sums[:-length]) / length


def windows_of(values: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """A view of all windows of a series (T, C): (T - W + 1, C, W)."""
    return np.lib.stride_tricks.sliding_window_view(values, length, axis=0)


def flat(windows: NDArray[np.float64]) -> NDArray[np.float64]:
    """A copy of windows, each as one vector (C * W,)."""
    return windows.reshape(len(windows), -1)
