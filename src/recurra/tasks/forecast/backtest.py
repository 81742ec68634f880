"""Rolling-origin backtests: the model beside naive and seasonal naive, from origins it did not see past.

Truth may be missing (NaN); a missing value does not count in any measure.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recurra.data.series.series_set import SeriesSet
from recurra.errors import DataError, RunError
from recurra.models.forecasting.conformal import interval_pairs, nominal_percent

__all__ = [
    "Backtest",
    "Folds",
    "Forecast",
    "coverage",
    "mean_absolute",
    "naive",
    "pinball",
    "plan_folds",
    "run_backtest",
    "seasonal_naive",
    "seasonal_scale",
    "smape",
    "weighted_quantile_loss",
]

# Quantiles (N, T, Q) for series rows (N,) and origins (N,).
Forecast = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Folds:
    """Where forecasts start.

    Attributes:
        rows: series of each window, (N,).
        origins: steps before its horizon, (N,).
        indices: index of its fold, the earliest 0, (N,).
        short: ids of series with fewer folds than asked for, and how many they have.
    """

    rows: np.ndarray
    origins: np.ndarray
    indices: np.ndarray
    short: dict[str, int]


def plan_folds(data: SeriesSet, horizon: int, folds: int, step: int, least: int) -> Folds:
    """Origins of the folds: the last horizon ends with the series, and each other one begins `step` steps earlier.

    Args:
        data: the series.
        horizon: T.
        folds: windows of each series.
        step: steps between origins.
        least: the fewest steps before an origin.

    Raises:
        DataError: no series is long enough for one fold.
    """
    last = data.lengths - horizon
    back = np.arange(folds - 1, -1, -1) * step
    origins = last[:, None] - back
    fits = origins >= least
    if not fits.any():
        raise DataError(
            f"{data.source}: no series is long enough to backtest: a horizon of {horizon} after {least} steps needs "
            f"{horizon + least}, the longest has {data.lengths.max()}. Use a longer series, or a shorter horizon."
        )
    rows, indices = np.nonzero(fits)
    short = {series.id: int(n) for series, n in zip(data, fits.sum(1), strict=True) if n < folds}
    return Folds(rows, origins[fits], indices, short)


@dataclass(frozen=True)
class Backtest:
    """Forecasts beside the truth, and their measures.

    Attributes:
        data: the series.
        folds: where forecasts started.
        season: of the seasonal naive and of MASE, in steps.
        levels: of the quantiles, (Q,).
        truth: (N, T), NaN if missing.
        quantiles: the model's, (N, T, Q).
        points: by method, the point forecast (N, T); the model's is the median.
        scales: of MASE for each window, (N,); NaN if there is none.
    """

    data: SeriesSet
    folds: Folds
    season: int
    levels: tuple[float, ...]
    truth: np.ndarray
    quantiles: np.ndarray
    points: dict[str, np.ndarray]
    scales: np.ndarray

    @cached_property
    def overall(self) -> dict[str, dict[str, float]]:
        """Measures by method. sMAPE and MASE are means over windows; the others take all steps together."""
        return {method: self._measure(method, np.arange(len(self.truth))) for method in self.points}

    @cached_property
    def by_series(self) -> dict[str, dict[str, dict[str, float]]]:
        """Measures by series, then by method."""
        measures = {}
        for row in np.unique(self.folds.rows):
            windows = np.flatnonzero(self.folds.rows == row)
            measures[self.data.series[row].id] = {method: self._measure(method, windows) for method in self.points}
        return measures

    @cached_property
    def by_step(self) -> dict[str, np.ndarray]:
        """Mean absolute scaled error of each step of the horizon (T,), by method."""
        errors = {}
        for method, points in self.points.items():
            scaled = np.abs(self.truth - points) / self.scales[:, None]
            seen = np.isfinite(scaled)
            errors[method] = np.divide(
                np.where(seen, scaled, 0).sum(0),
                seen.sum(0),
                out=np.full(seen.shape[1], np.nan),
                where=seen.any(0),
            )
        return errors

    @cached_property
    def coverage_by_step(self) -> dict[str, np.ndarray]:
        """The fraction of the truth in each central interval at each step of the horizon (T,), by nominal percent."""
        return {
            nominal_percent(self.levels, (low, high)): np.array(
                [
                    coverage(self.truth[:, step], self.quantiles[:, step, low], self.quantiles[:, step, high])
                    for step in range(self.truth.shape[1])
                ]
            )
            for low, high in interval_pairs(self.levels)
        }

    def mase(self, season: int) -> dict[str, float]:
        """MASE of each method, scaled by the mean change over another season, in steps; NaN if no series has one."""
        windows = zip(self.folds.rows, self.folds.origins, strict=True)
        scales = [seasonal_scale(self.data.series[row].y[:origin], season) for row, origin in windows]
        return {
            method: _mean([mean_absolute(e) / s for e, s in zip(self.truth - points, scales, strict=True)])
            for method, points in self.points.items()
        }

    @property
    def interval_coverage(self) -> dict[str, float]:
        """The fraction of the truth in each central interval of the model, by its nominal coverage in percent."""
        return {
            nominal_percent(self.levels, (low, high)): coverage(
                self.truth, self.quantiles[..., low], self.quantiles[..., high]
            )
            for low, high in interval_pairs(self.levels)
        }

    def _measure(self, method: str, windows: np.ndarray) -> dict[str, float]:
        truth, points = self.truth[windows], self.points[method][windows]
        error = truth - points
        scaled = [mean_absolute(e) / s for e, s in zip(error, self.scales[windows], strict=True)]
        measures = {
            "MAE": mean_absolute(error),
            "RMSE": float(np.sqrt(mean_absolute(error**2))),
            "sMAPE": _mean([smape(t, p) for t, p in zip(truth, points, strict=True)]),
            "MASE": _mean(scaled),
        }
        if method == "model":
            quantiles = self.quantiles[windows]
            measures["wQL"] = weighted_quantile_loss(truth, quantiles, self.levels)
            pairs = interval_pairs(self.levels)
            if pairs:
                low, high = pairs[0]
                name = f"{nominal_percent(self.levels, pairs[0])} % coverage"
                measures[name] = coverage(truth, quantiles[..., low], quantiles[..., high])
        else:
            # A point forecast is taken for every quantile.
            repeated = np.repeat(points[..., None], len(self.levels), axis=-1)
            measures["wQL"] = weighted_quantile_loss(truth, repeated, self.levels)
        return measures


def run_backtest(
    data: SeriesSet, folds: Folds, forecast: Forecast, horizon: int, season: int, levels: tuple[float, ...]
) -> Backtest:
    """Forecast every window and put the naive methods beside it.

    Args:
        data: the series, truth included; the naive methods and the scale of MASE see only what is before an origin.
        folds: where forecasts start.
        forecast: the model's quantiles; must not look past an origin either.
        horizon: T.
        season: of the seasonal naive and of MASE, in steps.
        levels: of the quantiles.

    Raises:
        RunError: a forecast is not finite; the measures, which leave NaN out, would not show it.
    """
    quantiles = forecast(folds.rows, folds.origins)
    bad = np.flatnonzero(~np.isfinite(quantiles).all(axis=(1, 2)))
    if len(bad):
        raise RunError(f"the forecast of series {data.series[int(folds.rows[bad[0]])].id!r} is not finite")
    truth, first, second, scales = [], [], [], []
    for row, origin in zip(folds.rows, folds.origins, strict=True):
        y = data.series[row].y
        truth.append(y[origin : origin + horizon])
        first.append(naive(y[:origin], horizon))
        second.append(seasonal_naive(y[:origin], horizon, season))
        scales.append(seasonal_scale(y[:origin], season))
    points = {
        "model": quantiles[..., levels.index(0.5)],
        "seasonal naive": np.array(second),
        "naive": np.array(first),
    }
    return Backtest(data, folds, season, levels, np.array(truth), quantiles, points, np.array(scales))


def naive(history: np.ndarray, horizon: int) -> np.ndarray:
    """The last observed value, repeated (horizon,); NaN if nothing was observed."""
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


def mean_absolute(error: np.ndarray) -> float:
    """The mean of |error| over what is observed; NaN if nothing is."""
    seen = error[np.isfinite(error)]
    return float(np.abs(seen).mean()) if len(seen) else float("nan")


def smape(truth: np.ndarray, forecast: np.ndarray) -> float:
    """Symmetric mean absolute percentage error in percent, 0 to 200, as in the M4 competition; 0 / 0 counts as 0."""
    size = np.abs(truth) + np.abs(forecast)
    fraction = np.divide(np.abs(truth - forecast), size, out=np.zeros_like(size), where=size != 0)
    return 200 * mean_absolute(np.where(np.isfinite(truth), fraction, np.nan))


def seasonal_scale(history: np.ndarray, season: int) -> float:
    """The scale of MASE (Hyndman and Koehler 2006): mean |y_t - y_{t-season}|; NaN if there is none, or it is 0."""
    scale = mean_absolute(history[season:] - history[:-season])
    return scale if scale > 0 else float("nan")


def pinball(truth: np.ndarray, quantiles: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    """Pinball losses (..., Q) of quantiles (..., Q) at levels (Q,), for truth (...)."""
    error = truth[..., None] - quantiles
    level = np.asarray(levels)
    return np.maximum(level * error, (level - 1) * error)


def weighted_quantile_loss(truth: np.ndarray, quantiles: np.ndarray, levels: Sequence[float]) -> float:
    """The mean over levels of 2 * summed pinball loss / summed |truth|, as in GluonTS; NaN if all truth is 0."""
    total = np.nansum(np.abs(truth))
    losses = 2 * np.nansum(pinball(truth, quantiles, levels), axis=tuple(range(truth.ndim)))
    return float(np.mean(losses / total)) if total > 0 else float("nan")


def coverage(truth: np.ndarray, low: np.ndarray, high: np.ndarray) -> float:
    """The fraction of the truth within [low, high]; NaN if nothing was observed."""
    seen = np.isfinite(truth)
    inside = (truth >= low) & (truth <= high)
    return float(inside[seen].mean()) if seen.any() else float("nan")


def _mean(values: list[float]) -> float:
    seen = [value for value in values if np.isfinite(value)]
    return float(np.mean(seen)) if seen else float("nan")
