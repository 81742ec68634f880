"""A fitted forecaster as it computes: from series and origins to quantiles."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import torch

from recurra.data.series.frame import series_from_frame
from recurra.data.series.gathered_windows import windows_of
from recurra.data.series.read import continuation
from recurra.data.series.series_set import Series, SeriesSet
from recurra.data.series.windows import Window, Windows
from recurra.errors import DataError, ExportError, RecurraError, RunError, StreamError
from recurra.models.forecasting.conformal import apply_margins, find_margins, interval_pairs, interval_scores
from recurra.models.forecasting.heads import make_head
from recurra.models.forecasting.network import forecast_quantiles
from recurra.models.forecasting.normalization import normalize
from recurra.models.forecasting.pipeline import ForecastPipeline
from recurra.streaming import ItemStream, Observations, Stepper, StreamState
from recurra.tasks.forecast.backtest import Backtest, Folds, plan_folds, run_backtest

if TYPE_CHECKING:
    from torch import nn

    from recurra.task import Fitted
    from recurra.tasks.forecast.learned import ForecastLearned

__all__ = ["ForecastModel", "export_network", "open_stream", "output_of", "with_defaults"]

_ROWS_AT_ONCE = 4096
# Recent windows of a series by which intervals are moved, and those of all series.
_MOST_RECENT, _MOST_RECENT_IN_ALL = 8, 1024


class ForecastModel:
    """A network with the head, windows and margins that make its outputs forecasts.

    Args:
        fitted: the network, its options, and what was learned without gradients.

    Attributes:
        learned: what was learned without gradients.
        levels: of the quantiles (Q,).
        calibration: of conformal intervals; None: they are not moved.
    """

    def __init__(self, fitted: "Fitted[ForecastLearned, nn.Module]") -> None:
        self.learned, self.network, self.device = fitted.learned, fitted.network, fitted.device
        self.options = fitted.options
        self.shape, self.calibration = self.learned.shape, self.learned.calibration
        self.levels: tuple[float, ...] = tuple(self.options["quantiles"])
        self.head = make_head(output_of(self.options), self.levels)

    def windows(self, data: SeriesSet) -> Windows:
        """The series as the network reads them."""
        return windows_of(data, self.learned.encoding, self.shape)

    def quantiles(self, data: SeriesSet, rows: np.ndarray, origins: np.ndarray) -> np.ndarray:
        """Forecasts (N, T, Q) for series `rows` (N,) of the data from `origins` (N,), counts of steps seen.

        Conformal intervals are moved by the scores of the validation windows, and by those of later windows of the data
        that were over at the origin: what a forecaster that runs has seen of its own errors.

        Raises:
            RunError: a forecast is not finite.
        """
        quantiles, scales = self._uncalibrated(data, rows, origins)
        if self.calibration is not None:
            recent = self._recent_windows(data)
            scores = self.interval_scores(data, recent.rows, recent.origins)
            # Steps before the end of its series at which a forecast begins, and at which a window is over.
            begins, over = data.lengths[rows] - origins, data.lengths[recent.rows] - recent.origins - self.shape.horizon
            for begin in np.unique(begins):
                now = begins == begin
                margins = find_margins(self.calibration, scores[:, over >= begin], self.levels)
                quantiles[now] = apply_margins(quantiles[now], scales[now], self.levels, margins)
        bad = np.flatnonzero(~np.isfinite(quantiles).all(axis=(1, 2)))
        if len(bad):
            raise RunError(
                f"the forecast of series {data.series[int(rows[bad[0]])].id!r} is not finite. Train anew with a lower "
                "learning_rate, and look for extreme values in the data."
            )
        return np.maximum(quantiles, 0.0) if self.options["nonnegative"] else quantiles

    def interval_scores(self, data: SeriesSet, rows: np.ndarray, origins: np.ndarray) -> np.ndarray:
        """How far the truth lies outside of the intervals as the network has them, (P, N, T); NaN if it is missing."""
        if not len(rows):
            return np.empty((len(interval_pairs(self.levels)), 0, self.shape.horizon))
        quantiles, scales = self._uncalibrated(data, rows, origins)
        horizon = self.shape.horizon
        truth = [data.series[row].y[origin : origin + horizon] for row, origin in zip(rows, origins, strict=True)]
        return interval_scores(np.array(truth), quantiles, scales, self.levels)

    def backtest(self, data: SeriesSet, folds: Folds) -> Backtest:
        """Forecast from the origins of folds, whatever training saw."""

        def forecast(rows: np.ndarray, origins: np.ndarray) -> np.ndarray:
            return self.quantiles(data, rows, origins)

        return run_backtest(data, folds, forecast, self.shape.horizon, self.shape.seasons[0], self.levels)

    def rolling(self, data: SeriesSet, folds: int, step: int) -> Backtest:
        """Forecast from rolling origins.

        Raises:
            DataError: no series is long enough, or training saw what would be forecast.
        """
        plan = plan_folds(data, self.shape.horizon, folds, step, self.shape.least_origin)
        self._check_unseen(data, plan)
        return self.backtest(data, plan)

    def continued(self, path: str | Path) -> Backtest:
        """Forecast what follows the training series, whose truth is in a file of the same form (M4's test files).

        Raises:
            DataError: the file does not continue the series, or by fewer steps than the horizon.
        """
        data, horizon = self.learned.data, self.shape.horizon
        longer = continuation(data, path)
        short = [s.id for s, before in zip(longer, data, strict=True) if len(s) < len(before) + horizon]
        if short:
            raise DataError(f"{path}: series {short[0]!r} is continued by fewer steps than the horizon of {horizon}")
        rows = np.arange(len(data))
        return self.backtest(longer, Folds(rows, data.lengths, np.zeros(len(data), int), {}))

    def folds_to_test(self, folds: int | None, other_data: bool) -> int:
        """How many folds to test: those asked for, else those held out.

        Raises:
            RunError: training held nothing out, and there is nothing else to test on.
        """
        if folds is not None:
            return folds
        held_out = self.learned.held_out // self.shape.horizon
        if not held_out and not other_data:
            raise RunError(
                "training held nothing out (folds=0), so that it has seen everything. Give what followed (--test FILE; "
                "test=), newer data (--data FILE), or train before each fold (--refit; refit=True)."
            )
        return held_out or 1

    def _uncalibrated(self, data: SeriesSet, rows: np.ndarray, origins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Quantiles (N, T, Q) as the network has them, and the scale of each window (N,)."""
        parts, scales = [], []
        windows, options = self.windows(data), self.options
        self.network.eval()
        for part in self._batches(len(rows)):
            window = windows.cut(rows[part], origins[part])
            scales.append(self._scale(window))
            values = forecast_quantiles(
                self.network,
                self.head,
                window.to(self.device),
                self.levels,
                options["sample_paths"],
                options["seed"],
            )
            parts.append(values.double().cpu().numpy())
        return np.concatenate(parts), np.concatenate(scales)

    def _recent_windows(self, data: SeriesSet) -> Folds:
        """Windows that end with each series, and the ones before, which training did not see."""
        horizon, until = self.shape.horizon, self.learned.trained_until
        count = max(1, min(_MOST_RECENT, _MOST_RECENT_IN_ALL // len(data)))
        few = np.unique(np.linspace(0, len(data) - 1, min(len(data), _MOST_RECENT_IN_ALL)).round().astype(int))
        rows, origins = [], []
        for row in few:
            series = data.series[row]
            begin = self.shape.least_origin
            if series.id in until:
                begin = max(begin, data.steps_until(series, until[series.id]))
            ends = [len(series) - k * horizon for k in range(count) if len(series) - (k + 1) * horizon >= begin]
            rows += [row] * len(ends)
            origins += [end - horizon for end in ends]
        return Folds(np.array(rows, int), np.array(origins, int), np.zeros(len(rows), int), {})

    def _check_unseen(self, data: SeriesSet, plan: Folds) -> None:
        until = self.learned.trained_until
        for row, origin in zip(plan.rows, plan.origins, strict=True):
            one = data.series[row]
            last: Any = data.stamps_at(one, np.array([origin - 1]))[0]
            if one.id in until and int(np.asarray(last).astype(np.int64)) < until[one.id]:
                raise DataError(
                    f"{data.source}: series {one.id!r}: a fold would forecast after {data.form.shown(last)}, but "
                    "training saw later steps, and the backtest would flatter. Hold more out in training (--folds; "
                    "folds=), use fewer folds or newer data, or train before each fold (--refit; refit=True)."
                )

    def _scale(self, window: Window) -> np.ndarray:
        units = normalize(window.history, self.shape.seasons[0])
        return torch.where(units.level > 0, units.scale, 0.0).squeeze(1).numpy()

    def _batches(self, count: int) -> Iterator[slice]:
        sampled = self.options["model"] == "recursive" or output_of(self.options) not in ("quantiles", "normal")
        paths = self.options["sample_paths"] if sampled else 1
        size = max(1, _ROWS_AT_ONCE * 4 // paths) if paths > 1 else _ROWS_AT_ONCE // 8
        for start in range(0, count, size):
            yield slice(start, start + size)


def output_of(options: Mapping[str, Any]) -> str:
    """The kind of output of a forecaster's options, with "auto" resolved: see the option."""
    if options["output"] != "auto":
        return options["output"]
    if options["reservoir"]:
        return "normal"
    return "quantiles" if options["model"] == "direct" else "student_t"


def with_defaults(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a forecaster with the values that depend on others in the place of None."""
    defaults = {"cell": "elman", "hidden_size": 300} if options["reservoir"] else {"cell": "lstm", "hidden_size": 96}
    return {**options, **{name: value for name, value in defaults.items() if options[name] is None}}


def export_network(model: ForecastModel) -> "tuple[nn.Module, dict[str, Any]]":
    """The network from raw values to quantiles, and what a program has to know; see `Estimator.export_network`.

    Raises:
        ExportError: its forecasts are samples.
    """
    options, learned, levels = model.options, model.learned, model.levels
    output = output_of(options)
    if options["model"] == "recursive" or output not in ("quantiles", "normal"):
        raise ExportError(
            f"model={options['model']!r} with output={output!r}: its quantiles are taken from samples, which a graph "
            "does not have. Train with model='direct' and output='quantiles' or 'normal'."
        )
    encoding, columns, frequency = learned.encoding, learned.data.columns, learned.data.frequency
    margins = None
    if model.calibration is not None:
        none = np.empty((len(interval_pairs(levels)), 0, model.shape.horizon))
        margins = find_margins(model.calibration, none, levels)
    calendar = encoding.calendar_names(frequency)
    whole = ForecastPipeline(
        model.network,
        model.head,
        levels,
        encoding,
        model.shape,
        calendar=len(calendar),
        margins=margins,
        nonnegative=options["nonnegative"],
    )
    static = list(zip(columns.static, encoding.numbers, encoding.categories, strict=True))
    facts = {
        "target": columns.target,
        "frequency": str(frequency),
        "window": model.shape.history,
        "horizon": model.shape.horizon,
        "seasons": list(model.shape.seasons),
        "quantiles": list(levels),
        "past": list(columns.past),
        "known": list(columns.known),
        "calendar": list(calendar),
        "numbers": [name for name, moments, _ in static if moments is not None],
        "categories": {name: [None, *names] for name, _, names in static if names is not None},
    }
    return whole, facts


def open_stream(model: ForecastModel) -> ItemStream:
    """The forecaster as a stream of observations of one series; see `Estimator.open_stream`.

    The state is the window of the latest observations, which the network reads at each step. Intervals are moved by the
    scores of the validation windows alone: longer ago than the window nothing is remembered.

    Raises:
        StreamError: the forecaster needs covariates of the future, or attributes of the series.
    """
    data = model.learned.data
    columns = data.columns
    for role, what in (("known", "covariates of the future"), ("static", "attributes of a series")):
        if names := getattr(columns, role):
            raise StreamError(f"{role}: the forecaster reads {what} ({', '.join(names)}), which a stream does not have")
    values = (columns.target, *columns.past)
    window = Observations(data.frequency, model.shape.history, len(values))

    def read(item: Any, state: StreamState) -> np.ndarray:
        if not isinstance(item, dict) or not {columns.time, columns.target} <= item.keys() <= {columns.time, *values}:
            raise DataError(f"item: expected an object with {columns.time}, {', '.join(values)}")
        row = {name: item.get(name) for name in values}
        if any(isinstance(value, bool) or not isinstance(value, int | float | None) for value in row.values()):
            raise DataError(f"item: expected numbers, or null if missing, for {', '.join(values)}")
        # 0 stands for the target: a series has at least one value.
        frame = pl.DataFrame({columns.time: [item[columns.time]], **{name: [0.0] for name in values}})
        try:
            one = series_from_frame(frame, replace(columns, id=None), data.frequency, "item").series[0]
        except RecurraError as error:
            raise DataError(f"item: {error}") from None
        own = np.array([np.nan if value is None else value for value in row.values()], np.float64)
        return window.encode(one.start, own, state)

    def answer(_: np.ndarray, outputs: np.ndarray) -> dict[str, Any]:
        start, seen = window.read(outputs[-1])
        observed = np.flatnonzero(~np.isnan(seen[:, 0]))
        if len(observed) < 2:
            return {"forecast": None}
        first = int(observed[0])
        steps = len(seen) - first
        stamps = data.frequency.stamps(start, first + 1)
        series = Series("series", stamps[first], seen[first:, 0], seen[first:, 1:], np.empty((steps, 0)), ())
        own = replace(data, series=(series,), source="the stream")
        [quantiles] = model.quantiles(own, np.array([0]), np.array([steps]))
        names = [columns.time, "forecast", *(f"q{level:g}" for level in model.levels)]
        after = own.stamps(series, model.shape.horizon)[-model.shape.horizon :]
        middle = quantiles[:, model.levels.index(0.5)]
        rows = zip([data.form.shown(one) for one in after], middle, *quantiles.T, strict=True)
        return {"forecast": [dict(zip(names, (stamp, *map(float, row)), strict=True)) for stamp, *row in rows]}

    stamp, value = model.learned.latest
    example = {columns.time: stamp, **dict.fromkeys(values, value)}
    return ItemStream(Stepper(window.program), read, answer, f"an observation: {', '.join(example)}", example)
