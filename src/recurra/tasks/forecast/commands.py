"""Train, evaluate and predict in a run folder: what the command line calls, each returning what to print."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from recurra.data import samples
from recurra.data.series.series_set import Columns, SeriesSet
from recurra.errors import DataError, ParameterError, RunError
from recurra.files import prepare_folder
from recurra.tasks.forecast.fit import window_shape
from recurra.tasks.forecast.forecaster import Forecaster, as_series
from recurra.tasks.forecast.frames import write_frame
from recurra.tasks.forecast.pictures import (
    draw_backtest_fans,
    draw_error_by_step,
    draw_forecast_fans,
    typical_series,
)
from recurra.tasks.forecast.settings import ForecastSettings
from recurra.tasks.forecast.tables import backtest_table, write_backtest
from recurra.training import processes
from recurra.training.picture import draw_training

__all__ = ["evaluate", "predict", "train"]

_SERIES_DRAWN = 4


def train(
    data: str,
    settings: ForecastSettings,
    folder: Path,
    columns: Columns | None = None,
    frequency: str | None = None,
    folds: int = 2,
    resume: bool = False,
    tensorboard: bool = False,
) -> str:
    """Train a forecaster into a run folder.

    Args:
        data: a file, or the name of a sample.
        settings: of the forecaster.
        folder: of the run.
        columns: of a long file.
        frequency: of the data; inferred where None.
        folds: horizons at the end of each series held out for `evaluate`.
        resume: go on with the run in the folder.
        tensorboard: also log to TensorBoard.
    """
    path = samples.path(data) if data in samples.names() else Path(data)
    series = as_series(path, columns, frequency)
    held_out = folds * settings.horizon
    forecaster = Forecaster.from_settings(settings)
    print(_describe(series, settings, folds), flush=True)
    forecaster.fit(series, held_out=held_out, folder=folder, resume=resume, tensorboard=tensorboard)
    if processes().is_first:
        draw_training(folder / "log.csv", folder / "training.png")
    result = forecaster.training_result
    assert result is not None
    loss = (
        f", validation loss {result.best_loss:.4f} at step {result.best_step}" if np.isfinite(result.best_loss) else ""
    )
    ending = " (no better loss for a while)" if result.stopped_early else ""
    after = f"recurra evaluate {folder}" if folds else f"recurra predict {folder} --out forecast.csv"
    return (
        f"trained {result.steps} steps in {result.seconds:.0f} s{ending}{loss}\nthe run is in {folder}; next: {after}"
    )


def evaluate(
    folder: Path,
    folds: int | None = None,
    step: int | None = None,
    refit: bool = False,
    data: str | None = None,
    test: str | None = None,
    ids: Sequence[str] = (),
    out: Path | None = None,
) -> str:
    """Backtest a run, and write tables and pictures.

    Args:
        folder: of the run.
        folds: forecasts of each series; as many as were held out where None.
        step: steps between their origins; the horizon where None.
        refit: train anew before each fold.
        data: a file to backtest on; the run's own data where None.
        test: a file with what followed the run's data.
        ids: series to draw; a spread from best to worst where empty.
        out: where tables and pictures go; `evaluation` in the run where None.

    Raises:
        RunError: where the run held nothing out to be tested on.
    """
    forecaster = Forecaster.load(folder)
    horizon = forecaster.settings.horizon
    if test is not None:
        if any(option is not None for option in (folds, step, data)) or refit:
            raise ParameterError("test", "no folds, step, refit or data beside it", test)
        backtest = forecaster.backtest_continuation(test)
    else:
        held_out = forecaster.held_out // horizon
        if folds is None and not (held_out or refit or data):
            raise RunError(
                f"{folder}: training held nothing out, so there is nothing it has not seen. Give --test FILE, newer "
                "data (--data FILE), or --refit to train before each fold."
            )
        folds = held_out or 1 if folds is None else folds
        backtest = forecaster.cross_validation(data, folds, step, refit)
    for name in ids:
        if backtest.data[name].id not in backtest.by_series:
            raise DataError(f"{backtest.data.source}: series {name!r} is too short for a forecast to draw")
    target = folder / "evaluation" if out is None else out
    write_backtest(backtest, target)
    draw_backtest_fans(backtest, ids or typical_series(backtest, _SERIES_DRAWN), target / "forecasts.png")
    draw_error_by_step(backtest, target / "error_by_step.png")
    lines = [
        f"backtest: {len(backtest.truth)} forecasts of {horizon} steps, {len(set(backtest.folds.rows))} series, "
        f"season {backtest.season}",
        "",
        backtest_table(backtest),
        "",
    ]
    unscaled = int(np.isnan(backtest.scales).sum())
    if unscaled:
        lines.append(f"MASE leaves out {unscaled} forecasts of series that never changed from season to season before")
    if backtest.folds.short:
        lines.append(_name_short(backtest.folds.short, folds or 1))
    lines.append(f"by series, all forecasts and pictures (forecasts.png, error_by_step.png): {target}")
    return "\n".join(lines)


def predict(
    folder: Path,
    data: str | None = None,
    future: str | None = None,
    out: Path | None = None,
    picture: Path | None = None,
    ids: Sequence[str] = (),
) -> str:
    """Forecast, and write a CSV or Parquet file.

    Args:
        folder: of the run.
        data: a file of newer observations or other series; the run's own data where None.
        future: a file of the known covariates after the end of each series.
        out: the file; `forecast.csv` in the run where None.
        picture: a PNG file to draw into.
        ids: series to draw; the first few where empty.
    """
    target = folder / "forecast.csv" if out is None else out
    if target.suffix not in (".csv", ".parquet"):
        raise ParameterError("out", "a file ending in .csv or .parquet", str(target))
    forecaster = Forecaster.load(folder)
    series, quantiles, frame = forecaster.forecast(data, future)
    drawn = [series[name].id for name in ids] or list(series.ids[:_SERIES_DRAWN])
    prepare_folder(target.parent)
    write_frame(frame, target)
    lines = [f"{forecaster.settings.horizon} steps of {len(series)} series: {target}"]
    if picture is not None:
        draw_forecast_fans(series, quantiles, forecaster.settings.quantiles, drawn, picture)
        lines.append(f"picture: {picture}")
    return "\n".join(lines)


def _describe(series: SeriesSet, settings: ForecastSettings, folds: int) -> str:
    lengths = series.lengths
    size = f"{lengths[0]}" if len(set(lengths)) == 1 else f"{lengths.min()} to {lengths.max()}"
    held = f"; the last {folds * settings.horizon} of each are held out for a backtest" if folds else ""
    seasons = window_shape(settings, series).seasons
    cycles = f"season{'s' if len(seasons) > 1 else ''} {', '.join(map(str, seasons))}"
    if seasons == (1,):
        cycles = "no season (--seasons gives one)"
    return f"{len(series)} series of {size} steps, frequency {series.frequency}, {cycles}{held}"


def _name_short(short: dict[str, int], folds: int) -> str:
    shown = ", ".join(f"{name!r} ({have})" for name, have in list(short.items())[:5])
    more = ", ..." if len(short) > 5 else ""
    return f"too short for all {folds} folds, with those they have: {shown}{more}"
