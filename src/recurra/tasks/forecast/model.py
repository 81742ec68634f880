"""A fitted forecaster as it computes: from series and origins to quantiles."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from recurra.data.series.read import continuation
from recurra.data.series.series_set import SeriesSet
from recurra.data.series.windows import Window, Windows
from recurra.errors import DataError, RunError
from recurra.models.forecasting.conformal import apply_margins, find_margins, interval_pairs, interval_scores
from recurra.models.forecasting.heads import make_head
from recurra.models.forecasting.network import forecast_quantiles
from recurra.models.forecasting.normalization import normalize
from recurra.tasks.forecast.backtest import Backtest, Folds, plan_folds, run_backtest

if TYPE_CHECKING:
    from torch import nn

    from recurra.task import Fitted
    from recurra.tasks.forecast.learned import ForecastLearned

__all__ = ["ForecastModel", "output_of"]

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
        self.head = make_head(output_of(self.options["model"], self.options["output"]), self.levels)

    def windows(self, data: SeriesSet) -> Windows:
        """The series as the network reads them."""
        return Windows(data, self.learned.encoding, self.shape)

    def quantiles(self, data: SeriesSet, rows: np.ndarray, origins: np.ndarray) -> np.ndarray:
        """Forecasts (N, T, Q) for series `rows` (N,) of the data from `origins` (N,), counts of steps seen.

        Conformal intervals are moved by the scores of the validation windows, and by those of later windows of the data
        that were over at the origin: what a forecaster that runs has seen of its own errors.
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
                begin = max(begin, int((np.asarray(data.stamps(series)).astype(np.int64) <= until[series.id]).sum()))
            ends = [len(series) - k * horizon for k in range(count) if len(series) - (k + 1) * horizon >= begin]
            rows += [row] * len(ends)
            origins += [end - horizon for end in ends]
        return Folds(np.array(rows, int), np.array(origins, int), np.zeros(len(rows), int), {})

    def _check_unseen(self, data: SeriesSet, plan: Folds) -> None:
        until = self.learned.trained_until
        for row, origin in zip(plan.rows, plan.origins, strict=True):
            one = data.series[row]
            last: Any = data.stamps(one)[origin - 1]
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
        sampled = output_of(self.options["model"], self.options["output"]) != "quantiles"
        paths = self.options["sample_paths"] if sampled else 1
        size = max(1, _ROWS_AT_ONCE * 4 // paths) if paths > 1 else _ROWS_AT_ONCE // 8
        for start in range(0, count, size):
            yield slice(start, start + size)


def output_of(model: str, output: str) -> str:
    """The kind of output, with "auto" resolved: quantiles for the direct model, student_t for the recursive one."""
    if output != "auto":
        return output
    return "quantiles" if model == "direct" else "student_t"
