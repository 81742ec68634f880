"""Split-conformal intervals: conformalized quantile regression (Romano, Patterson and Candes 2019)."""

import math

import numpy as np

__all__ = ["apply_margins", "fit_margins", "interval_pairs", "nominal_percent"]

# A margin of n windows is shrunk by n / (n + this): few windows say little of how far later ones will be off.
_PRIOR_WINDOWS = 3


def interval_pairs(levels: tuple[float, ...]) -> list[tuple[int, int]]:
    """Indices of the pairs of levels that bound a central interval, widest first: 0.1 with 0.9, 0.2 with 0.8."""
    pairs = []
    for low, level in enumerate(levels):
        if level < 0.5:
            pairs += [(low, high) for high, other in enumerate(levels) if math.isclose(level + other, 1)]
    return pairs


def nominal_percent(levels: tuple[float, ...], pair: tuple[int, int]) -> str:
    """What an interval should cover, in percent: "80" for 0.1 with 0.9."""
    low, high = pair
    return f"{100 * (levels[high] - levels[low]):g}"


def fit_margins(truth: np.ndarray, quantiles: np.ndarray, scales: np.ndarray, levels: tuple[float, ...]) -> list[float]:
    """How far to move each interval's ends outward, in units of a window's scale times the root of the step.

    The score of an observation is how far it lies outside its interval, max(low - y, y - high); the margin is the
    scores' quantile at the interval's nominal coverage, with the finite-sample correction (1 + 1/n), or the largest
    score if there are too few for that. Errors grow about as the square root of the steps ahead, as a random walk's
    do; in that unit the steps of a horizon are pooled, and coverage holds on average over the horizon. A margin of few
    windows is shrunk, and none is negative: a series that drifts would be covered less the later it is.

    Args:
        truth: (N, T), NaN if missing.
        quantiles: (N, T, Q).
        scales: (N,), positive.
        levels: (Q,).

    Returns:
        A margin, at least 0, for each of `interval_pairs(levels)`.
    """
    seen = np.isfinite(truth)
    count = int(seen.sum())
    windows = int(seen.any(axis=1).sum())
    unit = _units(scales, truth.shape[1])
    margins = []
    for low, high in interval_pairs(levels):
        score = np.maximum(quantiles[..., low] - truth, truth - quantiles[..., high]) / unit
        ordered = np.sort(score[seen])
        # Rounded first, as 0.8 - 0.2 in floating point is a little more than 0.6.
        rank = math.ceil(round((levels[high] - levels[low]) * (count + 1), 9))
        margin = float(ordered[min(rank, count) - 1]) if count else 0.0
        margins.append(max(0.0, margin) * windows / (windows + _PRIOR_WINDOWS))
    return margins


def apply_margins(
    quantiles: np.ndarray, scales: np.ndarray, levels: tuple[float, ...], margins: list[float]
) -> np.ndarray:
    """Quantiles (N, T, Q) with each interval's ends moved; kept in order around the median."""
    moved, unit = quantiles.copy(), _units(scales, quantiles.shape[1])
    for (low, high), margin in zip(interval_pairs(levels), margins, strict=True):
        moved[..., low] -= margin * unit
        moved[..., high] += margin * unit
    middle = levels.index(0.5)
    below = np.minimum.accumulate(moved[..., middle::-1], axis=-1)[..., ::-1]
    above = np.maximum.accumulate(moved[..., middle:], axis=-1)
    return np.concatenate([below, above[..., 1:]], axis=-1)


def _units(scales: np.ndarray, horizon: int) -> np.ndarray:
    """What margins are measured in, (N, T)."""
    return scales[:, None] * np.sqrt(np.arange(1, horizon + 1))
