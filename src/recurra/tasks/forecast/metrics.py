"""Measures of forecasts. Truth may be missing (NaN); what is missing does not count."""

from collections.abc import Sequence

import numpy as np

__all__ = ["coverage", "mean_absolute", "pinball", "seasonal_scale", "smape", "weighted_quantile_loss"]


def mean_absolute(error: np.ndarray) -> float:
    """Mean of |error| over what is there; NaN where nothing is."""
    seen = error[np.isfinite(error)]
    return float(np.abs(seen).mean()) if len(seen) else float("nan")


def smape(truth: np.ndarray, forecast: np.ndarray) -> float:
    """Symmetric mean absolute percentage error in per cent, 0 to 200, as in the M4 competition; 0 / 0 counts as 0."""
    size = np.abs(truth) + np.abs(forecast)
    share = np.divide(np.abs(truth - forecast), size, out=np.zeros_like(size), where=size != 0)
    return 200 * mean_absolute(np.where(np.isfinite(truth), share, np.nan))


def seasonal_scale(history: np.ndarray, season: int) -> float:
    """The scale of MASE (Hyndman and Koehler 2006): mean |y_t - y_{t-season}|; NaN where there is none or it is 0."""
    scale = mean_absolute(history[season:] - history[:-season])
    return scale if scale > 0 else float("nan")


def pinball(truth: np.ndarray, quantiles: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    """Pinball losses (..., Q) of quantiles (..., Q) at levels (Q,), for truth (...)."""
    error = truth[..., None] - quantiles
    level = np.asarray(levels)
    return np.maximum(level * error, (level - 1) * error)


def weighted_quantile_loss(truth: np.ndarray, quantiles: np.ndarray, levels: Sequence[float]) -> float:
    """Mean over levels of 2 * summed pinball loss / summed |truth|, as in GluonTS; NaN where all truth is 0."""
    total = np.nansum(np.abs(truth))
    losses = 2 * np.nansum(pinball(truth, quantiles, levels), axis=tuple(range(truth.ndim)))
    return float(np.mean(losses / total)) if total > 0 else float("nan")


def coverage(truth: np.ndarray, low: np.ndarray, high: np.ndarray) -> float:
    """Share of truth within [low, high]; NaN where there is no truth."""
    seen = np.isfinite(truth)
    inside = (truth >= low) & (truth <= high)
    return float(inside[seen].mean()) if seen.any() else float("nan")
