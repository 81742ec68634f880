"""Split-conformal intervals: conformalized quantile regression (Romano, Patterson and Candes 2019)."""

import math

import numpy as np

__all__ = ["apply_margins", "fit_margins", "interval_pairs", "nominal_percent"]


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
    """How far to move each interval's ends outward (inward if negative), in units of a window's scale.

    The score of an observation is how far it lies outside its interval, max(low - y, y - high); the margin is the
    scores' quantile at the interval's nominal coverage, with the finite-sample correction (1 + 1/n), or the largest
    score if there are too few for that. Steps of one horizon are pooled, so that coverage holds on average over
    the horizon.

    Args:
        truth: (N, T), NaN if missing.
        quantiles: (N, T, Q).
        scales: (N,), positive.
        levels: (Q,).

    Returns:
        A margin for each of `interval_pairs(levels)`.
    """
    seen = np.isfinite(truth)
    count = int(seen.sum())
    margins = []
    for low, high in interval_pairs(levels):
        score = np.maximum(quantiles[..., low] - truth, truth - quantiles[..., high]) / scales[:, None]
        ordered = np.sort(score[seen])
        # Rounded first, as 0.8 - 0.2 in floating point is a little more than 0.6.
        rank = math.ceil(round((levels[high] - levels[low]) * (count + 1), 9))
        margins.append(float(ordered[min(rank, count) - 1]) if count else 0.0)
    return margins


def apply_margins(
    quantiles: np.ndarray, scales: np.ndarray, levels: tuple[float, ...], margins: list[float]
) -> np.ndarray:
    """Quantiles (N, T, Q) with each interval's ends moved; kept in order around the median."""
    moved = quantiles.copy()
    for (low, high), margin in zip(interval_pairs(levels), margins, strict=True):
        moved[..., low] -= margin * scales[:, None]
        moved[..., high] += margin * scales[:, None]
    middle = levels.index(0.5)
    below = np.minimum.accumulate(moved[..., middle::-1], axis=-1)[..., ::-1]
    above = np.maximum.accumulate(moved[..., middle:], axis=-1)
    return np.concatenate([below, above[..., 1:]], axis=-1)
