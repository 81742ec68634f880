"""The forecasts that any model has to beat."""

import numpy as np

__all__ = ["naive", "seasonal_naive"]


def naive(history: np.ndarray, horizon: int) -> np.ndarray:
    """The last observed value, repeated (horizon,); NaN where nothing was observed."""
    return seasonal_naive(history, horizon, 1)


def seasonal_naive(history: np.ndarray, horizon: int, season: int) -> np.ndarray:
    """The last observed value of the same phase of the season (horizon,).

    A phase never observed takes the last observed value of any.
    """
    seen = np.flatnonzero(np.isfinite(history))
    if not len(seen):
        return np.full(horizon, np.nan)
    last = np.full(season, history[seen[-1]])
    # Of several values of one phase the assignment keeps the latest.
    last[(seen - len(history)) % season] = history[seen]
    return last[np.arange(horizon) % season]
