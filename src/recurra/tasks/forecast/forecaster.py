"""The forecaster as an estimator: fit, predict, cross-validate, save, load."""

import logging
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl

from recurra.data.series.frame import series_from_frame
from recurra.data.series.frequency import Frequency
from recurra.data.series.future import attach_future, future_rows_missing
from recurra.data.series.read import attach_future_file, continuation, read_series
from recurra.data.series.series_set import Columns, SeriesSet
from recurra.data.series.stamps import stamp_text
from recurra.errors import DataError, ParameterError
from recurra.tasks.forecast.backtest import Backtest, Folds, plan_folds, run_backtest
from recurra.tasks.forecast.fit import make_trainer, prepare
from recurra.tasks.forecast.fitted import FittedModel
from recurra.tasks.forecast.frames import forecast_frame, like
from recurra.tasks.forecast.run import ForecastRun
from recurra.tasks.forecast.settings import ForecastSettings
from recurra.training import Estimator

__all__ = ["Forecaster"]

_log = logging.getLogger("recurra.forecast")


class Forecaster(Estimator[ForecastSettings, ForecastRun]):
    """A recurrent forecaster, global over all the series it is given.

    Args:
        horizon: steps to forecast.
        **options: any other field of `ForecastSettings`, by name.

    Raises:
        ParameterError: for an unknown option, or a value out of its range.

    Example:
        >>> forecaster = Forecaster(horizon=28).fit(frame)
        >>> forecaster.predict()
        >>> forecaster.save("runs/sales")
    """

    noun = "forecaster"
    settings_class = ForecastSettings
    run_class = ForecastRun
    _given: Any = None

    def __init__(self, horizon: int, **options: Any) -> None:
        columns = set(options) & {"past", "known", "static"}
        hint = "Columns are named in fit(columns=Columns(...))." if columns else ""
        self.settings = ForecastSettings.from_options({"horizon": horizon, **options}, hint)

    @property
    def model(self) -> FittedModel:
        """The trained model. Raises RunError where the forecaster is not fitted."""
        return self._fitted().model

    @property
    def data(self) -> SeriesSet:
        """The series given to `fit`, those steps held out included."""
        return self._fitted().data

    @property
    def held_out(self) -> int:
        """Steps at the end of each series given to `fit` that it did not learn from."""
        return self._fitted().held_out

    def fit(
        self,
        data: Any,
        columns: Columns | None = None,
        frequency: str | None = None,
        held_out: int = 0,
        folder: str | Path | None = None,
        resume: bool = False,
        tensorboard: bool = False,
        progress: bool | None = None,
    ) -> Self:
        """Train on series.

        Args:
            data: a long frame (polars or pandas), the path of a file (CSV, Parquet, wide M4 CSV, .tsf), or a
                `SeriesSet`.
            columns: names of the frame's columns, by default `unique_id`, `ds` and `y`.
            frequency: such as "1h" or "1mo"; inferred where None.
            held_out: steps at the end of each series not to learn from, for a backtest.
            folder: where the run is kept while it trains, so that it can be resumed; None to keep it in memory.
            resume: go on with the run in `folder`.
            tensorboard: also log to TensorBoard.
            progress: show a bar; None shows one only in a terminal.

        Returns:
            The forecaster itself.

        Raises:
            DataError: where the data cannot be used; the message names the series, the row and the way out.
            RunError: where the folder already holds a run, or has none to resume.
            TrainingInterruptedError: on Ctrl-C, after the step under way was finished and saved.
        """
        if held_out < 0:
            raise ParameterError("held_out", "a number of steps", held_out)
        series = as_series(data, columns, frequency)
        path = None if folder is None else Path(folder)
        _check_held_out(series, held_out)
        seen = series.until(held_out)
        preparation = prepare(seen, self.settings)
        run = ForecastRun(preparation.model, series, held_out)
        resume = self._kept_run(path, resume, run) is not None
        trainer = make_trainer(preparation, path, tensorboard, progress)
        fit_margins = partial(run.model.fit_margins, seen, preparation.rows, preparation.origins)
        self._train(run, trainer, path, resume, fit_margins if self.settings.conformal else None)
        self._given = data
        return self

    def predict(
        self,
        data: Any = None,
        future: Any = None,
        columns: Columns | None = None,
        frequency: str | None = None,
    ) -> Any:
        """Forecast the horizon after the end of each series.

        Args:
            data: newer observations, or other series; anything `fit` takes. The series of `fit` where None.
            future: the known covariates after the end of each series, as a long frame or a file; needed where
                there are any, unless `data` has them in rows without a target.
            columns: as for `fit`; those of `fit` where None.
            frequency: as for `fit`; that of `fit` where None.

        Returns:
            A long frame, of the kind given: id, stamp, `forecast` (the median) and a column a quantile, `q0.1`.

        Raises:
            DataError: where data or future covariates do not fit.
        """
        _, _, frame = self.forecast(data, future, columns, frequency)
        return like(frame, self._given if data is None else data)

    def forecast(
        self,
        data: Any = None,
        future: Any = None,
        columns: Columns | None = None,
        frequency: str | None = None,
    ) -> tuple[SeriesSet, np.ndarray, pl.DataFrame]:
        """As `predict`: the series forecast, their quantiles (N, T, Q), and both as a polars frame."""
        series = self._series_like_fit(data, columns, frequency)
        if isinstance(future, str | Path):
            series = attach_future_file(series, future)
        elif future is not None:
            series = attach_future(series, future)
        self._check_future(series)
        quantiles = self.model.quantiles(series, np.arange(len(series)), series.lengths)
        return series, quantiles, forecast_frame(series, quantiles, self.settings.quantiles)

    def cross_validation(
        self,
        data: Any = None,
        folds: int = 3,
        step: int | None = None,
        refit: bool = False,
        columns: Columns | None = None,
        frequency: str | None = None,
        progress: bool | None = None,
    ) -> Backtest:
        """A rolling-origin backtest beside naive and seasonal naive.

        Args:
            data: anything `fit` takes; the series of `fit` where None.
            folds: forecasts of each series; the last ends with the series.
            step: steps between their origins; the horizon where None.
            refit: train anew before each fold on what is before it; needs no `fit` before. Without it the forecaster
                as fitted is tested, which must then not have seen what it is to forecast.
            columns: as for `fit`.
            frequency: as for `fit`.
            progress: show a bar for each training; None shows one only in a terminal.

        Raises:
            DataError: where no series is long enough, or the forecaster has seen what it is to forecast.
        """
        if folds < 1:
            raise ParameterError("folds", "at least 1", folds)
        step = self.settings.horizon if step is None else step
        if step < 1:
            raise ParameterError("step", "at least 1", step)
        if refit:
            like_fit = self._run is not None or data is None
            read = self._series_like_fit if like_fit else as_series
            series = read(data, columns, frequency)
            return self._backtest_refitted(series, folds, step, progress)
        series = self._series_like_fit(data, columns, frequency)
        shape = self.model.shape
        plan = plan_folds(series, shape.horizon, folds, step, shape.least_origin)
        self._check_unseen(series, plan)
        return self._backtest(series, plan)

    def backtest_continuation(self, path: str | Path) -> Backtest:
        """Forecast what follows the series of `fit`, the truth being in a file of the same form (M4's test files).

        Raises:
            DataError: where the file does not continue the series, or by fewer steps than the horizon.
        """
        data = self._fitted().data
        longer = continuation(data, path)
        horizon = self.settings.horizon
        short = [s.id for s, before in zip(longer, data, strict=True) if len(s) < len(before) + horizon]
        if short:
            raise DataError(f"{path}: series {short[0]!r} is continued by fewer steps than the horizon of {horizon}")
        rows = np.arange(len(data))
        return self._backtest(longer, Folds(rows, data.lengths, np.zeros(len(data), int), {}))

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        forecaster = super().load(folder)
        run = forecaster._fitted()
        if run.model.settings.conformal and run.model.margins is None:
            # Training was cut short before the intervals were fitted; what they need is in the run.
            seen = run.data.until(run.held_out)
            preparation = prepare(seen, run.model.settings)
            run.model.fit_margins(seen, preparation.rows, preparation.origins)
        return forecaster

    def _series_like_fit(self, data: Any, columns: Columns | None, frequency: str | None) -> SeriesSet:
        run = self._fitted()
        if data is None:
            return run.data
        if columns is None:
            # A run of a single series without an id also reads files that have one.
            columns = replace(run.data.columns, id=run.data.columns.id or Columns.id)
        series = as_series(data, columns, frequency or str(run.model.frequency))
        if series.frequency != run.model.frequency:
            raise DataError(
                f"{series.source}: expected the frequency trained on, {run.model.frequency}, got {series.frequency}"
            )
        for role in ("past", "known", "static"):
            expected, got = tuple(getattr(run.data.columns, role)), tuple(getattr(series.columns, role))
            if expected != got:
                raise DataError(
                    f"{series.source}: expected the {role} covariates trained on ({', '.join(expected) or 'none'}), "
                    f"got {', '.join(got) or 'none'}"
                )
        return series

    def _check_future(self, series: SeriesSet) -> None:
        missing = future_rows_missing(series, self.settings.horizon) if series.columns.known else []
        if missing:
            name, have, need = missing[0]
            others = f" (and {len(missing) - 1} other series lack some)" if len(missing) > 1 else ""
            raise DataError(
                f"{series.source}: series {name!r} has {have} of {need} future rows of the known covariates "
                f"({', '.join(series.columns.known)}){others}. Give them with --future FILE (future= in Python), or as "
                "rows without a target at the end."
            )

    def _check_unseen(self, series: SeriesSet, plan: Folds) -> None:
        until = self.model.trained_until
        for row, origin in zip(plan.rows, plan.origins, strict=True):
            one = series.series[row]
            last: Any = series.stamps(one)[origin - 1]
            if one.id in until and int(np.asarray(last).astype(np.int64)) < until[one.id]:
                raise DataError(
                    f"{series.source}: series {one.id!r}: a fold would forecast after {stamp_text(last)}, but "
                    "training saw later steps, and the backtest would flatter. Hold more out in training (--folds, "
                    "held_out in Python), use fewer folds or newer data, or train before each fold (--refit, "
                    "refit=True in Python)."
                )

    def _backtest(self, series: SeriesSet, plan: Folds) -> Backtest:
        def forecast(rows: np.ndarray, origins: np.ndarray) -> np.ndarray:
            return self.model.quantiles(series, rows, origins)

        shape = self.model.shape
        return run_backtest(series, plan, forecast, shape.horizon, shape.seasons[0], self.settings.quantiles)

    def _backtest_refitted(self, series: SeriesSet, folds: int, step: int, progress: bool | None) -> Backtest:
        horizon = self.settings.horizon
        first = series.until((folds - 1) * step + horizon)
        if not len(first):
            raise DataError(f"{series.source}: no series is long enough for {folds} folds {step} steps apart")
        shape = prepare(first, self.settings).model.shape
        plan = plan_folds(series, horizon, folds, step, shape.least_origin)

        def forecast(rows: np.ndarray, origins: np.ndarray) -> np.ndarray:
            quantiles = np.empty((len(rows), horizon, len(self.settings.quantiles)))
            for fold in range(folds):
                windows = np.flatnonzero(plan.numbers == fold)
                if not len(windows):
                    continue
                seen = series.until((folds - 1 - fold) * step + horizon)
                trained = Forecaster.from_settings(self.settings).fit(seen, progress=progress)
                quantiles[windows] = trained.model.quantiles(series, rows[windows], origins[windows])
            return quantiles

        return run_backtest(series, plan, forecast, horizon, shape.seasons[0], self.settings.quantiles)


def as_series(data: Any, columns: Columns | None, frequency: str | None) -> SeriesSet:
    """Series from whatever a user has: a `SeriesSet`, a path, or a frame.

    Raises:
        DataError: where they cannot be used.
        ParameterError: for an unknown frequency.
    """
    if isinstance(data, SeriesSet):
        return data
    parsed = Frequency.parse(frequency) if frequency else None
    if isinstance(data, str | Path):
        return read_series(data, columns or Columns(), parsed)
    return series_from_frame(data, columns or Columns(), parsed)


def _check_held_out(series: SeriesSet, held_out: int) -> None:
    """Name the series that holding out leaves nothing of; they are not learned from, but can still be forecast."""
    gone = [one.id for one in series if len(one) <= held_out]
    if not gone:
        return
    more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
    message = (
        f"{series.source}: series {gone[0]!r}{more}: no steps are left to learn from with {held_out} steps held out. "
        "Hold out fewer (--folds, held_out in Python) or shorten the horizon."
    )
    if len(gone) == len(series):
        raise DataError(message)
    _log.warning("%s", message)
