"""Rolling-origin backtests: the model beside naive and seasonal naive, from origins it did not see past."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recurra.data.series.series_set import SeriesSet
from recurra.errors import DataError, RunError
from recurra.tasks.forecast.baselines import naive, seasonal_naive
from recurra.tasks.forecast.conformal import interval_pairs, nominal_percent
from recurra.tasks.forecast.metrics import (
    coverage,
    mean_absolute,
    seasonal_scale,
    smape,
    weighted_quantile_loss,
)

__all__ = ["Backtest", "Folds", "Forecast", "plan_folds", "run_backtest"]

# Quantiles (N, T, Q) for series rows (N,) and origins (N,).
Forecast = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Folds:
    """Where forecasts start.

    Attributes:
        rows: series of each window, (N,).
        origins: steps before its horizon, (N,).
        numbers: its fold, the earliest 0, (N,).
        short: ids of series with fewer folds than asked for, and how many they have.
    """

    rows: np.ndarray
    origins: np.ndarray
    numbers: np.ndarray
    short: dict[str, int]


def plan_folds(data: SeriesSet, horizon: int, folds: int, step: int, least: int) -> Folds:
    """Origins so that the last fold's horizon ends with the series and each other begins `step` steps earlier.

    Args:
        data: the series.
        horizon: T.
        folds: windows of each series.
        step: steps between origins.
        least: the fewest steps before an origin.

    Raises:
        DataError: where no series is long enough for one fold.
    """
    last = data.lengths - horizon
    back = np.arange(folds - 1, -1, -1) * step
    origins = last[:, None] - back
    fits = origins >= least
    if not fits.any():
        raise DataError(
            f"{data.source}: no series is long enough to backtest: a horizon of {horizon} after {least} steps needs "
            f"{horizon + least}, the longest has {data.lengths.max()}"
        )
    rows, numbers = np.nonzero(fits)
    short = {series.id: int(n) for series, n in zip(data, fits.sum(1), strict=True) if n < folds}
    return Folds(rows, origins[fits], numbers, short)


@dataclass(frozen=True)
class Backtest:
    """Forecasts beside the truth, and their measures.

    Attributes:
        data: the series.
        folds: where forecasts started.
        season: of the seasonal naive and of MASE, in steps.
        levels: of the quantiles, (Q,).
        truth: (N, T), NaN where missing.
        quantiles: the model's, (N, T, Q).
        points: by method, the point forecast (N, T); the model's is the median.
        scales: of MASE for each window, (N,); NaN where there is none.
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
        found = {}
        for row in np.unique(self.folds.rows):
            windows = np.flatnonzero(self.folds.rows == row)
            found[self.data.series[row].id] = {method: self._measure(method, windows) for method in self.points}
        return found

    @cached_property
    def by_step(self) -> dict[str, np.ndarray]:
        """Mean absolute scaled error of each step of the horizon (T,), by method."""
        found = {}
        for method, points in self.points.items():
            scaled = np.abs(self.truth - points) / self.scales[:, None]
            seen = np.isfinite(scaled)
            found[method] = np.divide(
                np.where(seen, scaled, 0).sum(0),
                seen.sum(0),
                out=np.full(seen.shape[1], np.nan),
                where=seen.any(0),
            )
        return found

    @property
    def interval_coverage(self) -> dict[str, float]:
        """Share of the truth in each central interval of the model, by its nominal coverage in per cent."""
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
        RunError: where a forecast is not finite; the measures, which pass over NaN, would not show it.
    """
    quantiles = forecast(folds.rows, folds.origins)
    bad = np.flatnonzero(~np.isfinite(quantiles).all(axis=(1, 2)))
    if len(bad):
        raise RunError(f"the forecast of series {data.series[folds.rows[bad[0]]].id!r} is not finite")
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


def _mean(values: list[float]) -> float:
    seen = [value for value in values if np.isfinite(value)]
    return float(np.mean(seen)) if seen else float("nan")
