"""Conformal intervals: conformalized quantile regression (Romano, Patterson and Candes 2019) on windows of series."""

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

__all__ = ["Calibration", "apply_margins", "find_margins", "interval_pairs", "interval_scores", "nominal_percent"]

# Scores of each interval that a run stores, at equal ranks.
_MOST_SCORES = 512


@dataclass(frozen=True)
class Calibration:
    """How far outside of its intervals the truth of past forecasts lay.

    Attributes:
        windows: the forecasts that the scores are of.
        scores: for each of `interval_pairs`, some or all of the scores, increasing.
    """

    windows: int
    scores: tuple[tuple[float, ...], ...]

    @classmethod
    def of(cls, scores: np.ndarray) -> Self:
        """From the result of `interval_scores` (P, N, T)."""
        seen = np.isfinite(scores[0]) if len(scores) else np.zeros(scores.shape[1:], bool)
        stored = []
        for of_pair in scores:
            ordered = np.sort(of_pair[seen])
            if len(ordered) > _MOST_SCORES:
                ordered = ordered[np.linspace(0, len(ordered) - 1, _MOST_SCORES).round().astype(int)]
            stored.append(tuple(ordered.tolist()))
        return cls(int(seen.any(axis=1).sum()), tuple(stored))

    def to_json(self) -> dict[str, Any]:
        return {"windows": self.windows, "scores": [list(scores) for scores in self.scores]}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        return cls(values["windows"], tuple(tuple(scores) for scores in values["scores"]))


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


def interval_scores(
    truth: np.ndarray, quantiles: np.ndarray, scales: np.ndarray, levels: tuple[float, ...]
) -> np.ndarray:
    """How far each observation lies outside of each interval, max(low - y, y - high); negative inside.

    Args:
        truth: (N, T), NaN if missing.
        quantiles: (N, T, Q).
        scales: (N,): the units of each window; 0 if it has none.
        levels: (Q,).

    Returns:
        (P, N, T) for the P of `interval_pairs(levels)`, in units of the window's scale; NaN if the truth is
        missing or the window has no unit.
    """
    pairs = interval_pairs(levels)
    scores = [np.maximum(quantiles[..., low] - truth, truth - quantiles[..., high]) for low, high in pairs]
    units = np.where(scales > 0, scales, np.nan)[:, None]
    return np.stack(scores) / units if pairs else np.empty((0, *truth.shape))


def find_margins(calibration: Calibration, recent: np.ndarray, levels: tuple[float, ...]) -> list[float]:
    """How far to move each interval's ends outward (inward if negative), in units of a window's scale.

    The margin is the quantile of the scores at the interval's nominal coverage p, raised to p (1 + 1 / m) for m
    windows. The steps of a window err together, and so the correction for a finite sample counts windows and not steps.
    If few windows raise it beyond 1, the margin is the largest score, times that number. The steps of all horizons are
    pooled: coverage holds on average over the horizon.

    Args:
        calibration: from the windows of validation.
        recent: (P, N, T), scores of windows since then; see `interval_scores`.
        levels: (Q,).

    Returns:
        A margin for each of `interval_pairs(levels)`; 0 if there are no scores.
    """
    margins = []
    for k, (low, high) in enumerate(interval_pairs(levels)):
        seen = np.isfinite(recent[k])
        by_window = seen.sum(axis=1, keepdims=True)
        stored = np.array(calibration.scores[k])
        windows = calibration.windows + int((by_window > 0).sum())
        if not windows:
            margins.append(0.0)
            continue
        values = np.concatenate([stored, recent[k][seen]])
        weights = np.concatenate(
            [
                np.full(len(stored), calibration.windows / max(1, len(stored))),
                np.broadcast_to(1 / np.maximum(1, by_window), seen.shape)[seen],
            ]
        )
        level = (levels[high] - levels[low]) * (1 + 1 / windows)
        margins.append(_quantile(values, weights, level) * (max(1.0, level) if values.max() > 0 else 1.0))
    return margins


def _quantile(values: np.ndarray, weights: np.ndarray, level: float) -> float:
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    # Rounded first, as 0.8 - 0.2 in floating point is a little more than 0.6.
    rank = int(np.searchsorted(reached, round(level * float(reached[-1]), 9) - 1e-9))
    return float(values[order[min(rank, len(order) - 1)]])


def apply_margins(
    quantiles: np.ndarray, scales: np.ndarray, levels: tuple[float, ...], margins: list[float]
) -> np.ndarray:
    """Quantiles (N, T, Q) with each interval's ends moved, and still in order around the median."""
    moved = quantiles.copy()
    for (low, high), margin in zip(interval_pairs(levels), margins, strict=True):
        moved[..., low] -= margin * scales[:, None]
        moved[..., high] += margin * scales[:, None]
    middle = levels.index(0.5)
    below = np.minimum.accumulate(moved[..., middle::-1], axis=-1)[..., ::-1]
    above = np.maximum.accumulate(moved[..., middle:], axis=-1)
    return np.concatenate([below, above[..., 1:]], axis=-1)
