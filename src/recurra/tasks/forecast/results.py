"""Forecasts and evaluations, as frames, files and tables."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recurra.data.series.future import attach_future, future_rows_missing
from recurra.data.series.native_frame import native_frame
from recurra.data.series.read import attach_future_file
from recurra.data.series.series_set import SeriesSet
from recurra.errors import DataError
from recurra.files import prepare_folder, write_atomically
from recurra.models.forecasting.conformal import interval_pairs, nominal_percent
from recurra.task import Evaluation, Predictions
from recurra.task.results import Table
from recurra.task.verbs import verbs_of
from recurra.tasks.forecast.backtest import Backtest, coverage
from recurra.tasks.forecast.forecaster import Forecaster
from recurra.tasks.forecast.model import ForecastModel
from recurra.tasks.forecast.pictures import (
    plot_backtest,
    plot_coverage_by_step,
    plot_error_by_step,
    plot_forecasts,
    typical_series,
)

__all__ = ["Forecasts", "make_evaluation", "make_forecasts"]

_SERIES_PLOTTED = 4
_LARGE = 1e4
_WEEKS_OF_A_YEAR = 52
# A series covers far from what it should by this much, on no fewer steps.
_FAR_OFF = 0.2
_FEWEST_STEPS = 10


@dataclass(frozen=True, eq=False)
class Forecasts(Predictions[Any]):
    """Forecasts of the horizon after the end of each series.

    Attributes:
        series: what was forecast.
        quantiles: (N, T, Q).
        levels: of the quantiles (Q,).
    """

    series: SeriesSet
    quantiles: np.ndarray
    levels: tuple[float, ...]

    @property
    def frame(self) -> pl.DataFrame:
        """Id, stamp, `forecast` (the median) and a column a quantile, such as `q0.1`."""
        data, horizon = self.series, self.quantiles.shape[1]
        ids = data.id_column(np.repeat(np.arange(len(data)), horizon))
        names = {data.columns.id or "unique_id": ids, data.columns.time: data.form.column(self._stamps)}
        return pl.DataFrame({**names, **_values(self.quantiles, self.levels)})

    @property
    def written(self) -> pl.DataFrame:
        """The frame, with stamps as they stand in the file."""
        stamps = self.series.form.written(self._stamps)
        return self.frame.with_columns(stamps.alias(self.series.columns.time))

    @property
    def values(self) -> Any:
        """The frame, as pandas if the series came as pandas. Stamps are of the kind and in the zone that came."""
        data = self.series
        return native_frame(self.frame, data.library, data.columns.time, self._stamps, data.form)

    def text(self, color: bool = False) -> Iterator[str]:
        yield f"{self.quantiles.shape[1]:,} steps of {len(self.series):,} series\n"

    def write(self, path: str | Path) -> list[Path]:
        """Write the frame as CSV or Parquet, by the ending of the path; see `Result.write`."""
        path = Path(path)
        verbs_of(Forecaster)["predict"].check_out(path)
        prepare_folder(path.parent)
        if path.suffix.lower() == ".parquet":
            write_atomically(path, lambda aside: self.frame.write_parquet(aside))
        else:
            write_atomically(path, lambda aside: self.written.write_csv(aside))
        return [path]

    @property
    def _stamps(self) -> np.ndarray:
        """Those of each step of each series, as `SeriesSet.stamps`."""
        horizon = self.quantiles.shape[1]
        ahead = np.arange(horizon)
        return np.concatenate([self.series.stamps_at(series, len(series) + ahead) for series in self.series])

    def default_path(self, folder: Path) -> Path:
        return folder / "forecast.csv"

    def plot(self, path: str | Path, ids: Sequence[str]) -> None:
        """Plot the last steps of series, by id, and their forecasts into a PNG file."""
        plot_forecasts(self.series, self.quantiles, self.levels, ids, Path(path))


def make_forecasts(model: ForecastModel, data: SeriesSet, future: Any) -> Forecasts:
    """Forecast the horizon after the end of each series.

    Args:
        model: fitted.
        data: the series.
        future: the known covariates after the end of each series, as a long frame or a file; None: `data` has them.

    Raises:
        DataError: known covariates are missing, or do not fit.
    """
    if isinstance(future, str | Path):
        data = attach_future_file(data, future)
    elif future is not None:
        data = attach_future(data, future)
    missing = future_rows_missing(data, model.shape.horizon) if data.columns.known else []
    if missing:
        name, have, need = missing[0]
        others = f" (and {len(missing) - 1} other series lack some)" if len(missing) > 1 else ""
        raise DataError(
            f"{data.source}: series {name!r} has {have} of {need} future rows of the known covariates "
            f"({', '.join(data.columns.known)}){others}. Give them with --future FILE (future= in Python), or as rows "
            "without a target at the end."
        )
    return Forecasts(data, model.quantiles(data, np.arange(len(data)), data.lengths), model.levels)


def make_evaluation(backtest: Backtest, ids: Sequence[str] = ()) -> Evaluation:
    """A backtest as an evaluation.

    Args:
        backtest: forecasts beside the truth.
        ids: of the series in the picture; empty: four, spread from the best forecast to the worst.

    Raises:
        DataError: there is no such series, or it has no forecast.
    """
    data = backtest.data
    for name in ids:
        if data[name].id not in backtest.by_series:
            raise DataError(f"{data.source}: series {name!r} is too short for a forecast to plot")
    methods = {method: _finite(measures) for method, measures in backtest.overall.items()}
    names = list(backtest.overall["model"])
    large = any(abs(measures.get("MAE", 0)) >= _LARGE for measures in methods.values())
    size = ",.0f" if large else ".4g"
    by_series = [
        (name, method, *(_number(measures.get(score)) for score in names))
        for name, methods_of in backtest.by_series.items()
        for method, measures in methods_of.items()
    ]
    id_column = data.columns.id or "unique_id"
    windows, horizon = backtest.truth.shape
    return Evaluation(
        title=f"backtest: {windows:,} forecast{'s' * (windows > 1)} of {horizon:,} steps, "
        f"{len(backtest.by_series):,} series, MASE over a season of {backtest.season}",
        methods=methods,
        main=next((name for name in ("MASE", "wQL") if name in methods["model"]), "MAE"),
        formats={"MAE": size, "RMSE": size, "sMAPE": ".4g", "MASE": ".4g", "wQL": ".4g"},
        losses=frozenset({"MAE", "RMSE", "sMAPE", "MASE", "wQL"}),
        tables={
            "by_series": Table((id_column, "method", *names), by_series),
            "forecasts": _forecast_table(backtest),
        },
        notes=_notes(backtest),
        facts={
            "interval_coverage_by_nominal_percent": _finite(backtest.interval_coverage),
            "coverage_by_step": {
                nominal: [_json_number(value) for value in steps]
                for nominal, steps in backtest.coverage_by_step.items()
            },
            "season": backtest.season,
            "windows": len(backtest.truth),
            "folds_of_short_series": backtest.folds.short,
            "error_by_step": {
                method: [_json_number(value) for value in steps] for method, steps in backtest.by_step.items()
            },
        },
        pictures={
            "forecasts": partial(plot_backtest, backtest, ids or typical_series(backtest, _SERIES_PLOTTED)),
            "error_by_step": partial(plot_error_by_step, backtest),
            "coverage_by_step": partial(plot_coverage_by_step, backtest),
        },
    )


def _forecast_table(backtest: Backtest) -> Table:
    """Forecasts of windows beside the truth: id, `cutoff` (the last stamp seen), stamp, truth, forecast, quantiles."""
    data, folds, horizon = backtest.data, backtest.folds, backtest.truth.shape[1]
    around, windows = np.arange(-1, horizon), zip(folds.rows, folds.origins, strict=True)
    stamps = np.stack([data.stamps_at(data.series[row], origin + around) for row, origin in windows])
    cutoffs, steps = np.repeat(stamps[:, 0], horizon), stamps[:, 1:].ravel()
    # Together, as one form is for both.
    written = data.form.written(np.concatenate([cutoffs, steps]))
    frame = pl.DataFrame(
        {
            data.columns.id or "unique_id": data.id_column(np.repeat(folds.rows, horizon)),
            "cutoff": written[: len(cutoffs)],
            data.columns.time: written[len(cutoffs) :],
            data.columns.target: pl.Series(backtest.truth.ravel()).fill_nan(None),
            **_values(backtest.quantiles, backtest.levels),
        }
    )
    return Table(tuple(frame.columns), frame.rows())


def _notes(backtest: Backtest) -> list[str]:
    notes = []
    unscaled = int(np.isnan(backtest.scales).sum())
    if unscaled:
        notes.append(
            f"MASE leaves out {unscaled:,} forecasts of series that never changed from season to season before."
        )
    short = backtest.folds.short
    if short:
        shown = ", ".join(f"{name!r} ({have})" for name, have in list(short.items())[:5])
        more = ", ..." if len(short) > 5 else ""
        folds = int(backtest.folds.indices.max()) + 1
        notes.append(f"Too short for all {folds} folds, with those they have: {shown}{more}.")
    return [*notes, *_weekly_mase(backtest), *_coverage_far_off(backtest)]


def _weekly_mase(backtest: Backtest) -> list[str]:
    """Weekly data are scored by the change over a week by some (M4), and over a year by others."""
    frequency = str(backtest.data.frequency)
    other = {1: _WEEKS_OF_A_YEAR, _WEEKS_OF_A_YEAR: 1}.get(backtest.season) if frequency == "1w" else None
    scores = _finite(backtest.mase(other)) if other is not None else {}
    if not scores:
        return []
    return [f"MASE over a season of {other}: " + ", ".join(f"{name} {mase:.4g}" for name, mase in scores.items()) + "."]


def _coverage_far_off(backtest: Backtest) -> list[str]:
    """Name the series whose widest interval covers far from what it should."""
    pairs = interval_pairs(backtest.levels)
    if not pairs:
        return []
    low, high = pairs[0]
    wanted, percent = backtest.levels[high] - backtest.levels[low], nominal_percent(backtest.levels, pairs[0])
    off = {}
    for row in np.unique(backtest.folds.rows):
        windows = backtest.folds.rows == row
        truth, quantiles = backtest.truth[windows], backtest.quantiles[windows]
        covered = coverage(truth, quantiles[..., low], quantiles[..., high])
        if np.isfinite(truth).sum() >= _FEWEST_STEPS and abs(covered - wanted) > _FAR_OFF:
            off[backtest.data.series[row].id] = covered
    if not off:
        return []
    worst = sorted(off, key=lambda name: off[name] - wanted)[:5]
    shown = ", ".join(f"{name!r} ({100 * off[name]:.0f} %)" for name in worst) + (", ..." if len(off) > 5 else "")
    return [
        f"The {percent} % interval covers far more or less than {percent} % of {len(off):,} of "
        f"{len(backtest.by_series):,} series: {shown}."
    ]


def _values(quantiles: np.ndarray, levels: tuple[float, ...]) -> dict[str, np.ndarray]:
    values = {"forecast": quantiles[..., levels.index(0.5)].ravel()}
    return values | {f"q{level:g}": quantiles[..., k].ravel() for k, level in enumerate(levels)}


def _finite(measures: dict[str, float]) -> dict[str, float]:
    """The measures that there are; JSON has no NaN."""
    return {name: float(value) for name, value in measures.items() if math.isfinite(value)}


def _json_number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _number(value: float | None) -> float | str:
    return "" if value is None or not math.isfinite(value) else float(value)
