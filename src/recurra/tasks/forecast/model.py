"""A fitted forecaster as it computes: from series and origins to quantiles."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.data.series.read import continuation
from recurra.data.series.series_set import SeriesSet
from recurra.data.series.stamps import stamp_text
from recurra.data.series.windows import Window, Windows
from recurra.errors import DataError, RunError
from recurra.models.forecasting.conformal import apply_margins, fit_margins, interval_pairs
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


class ForecastModel:
    """A network with the head, windows and margins that make its outputs forecasts.

    Args:
        fitted: the network, its options, and what was learned without gradients.

    Attributes:
        learned: what was learned without gradients.
        levels: of the quantiles (Q,).
        margins: of conformal intervals; None: they are not moved.
    """

    def __init__(self, fitted: "Fitted[ForecastLearned, nn.Module]") -> None:
        self.learned, self.network, self.device = fitted.learned, fitted.network, fitted.device
        self.options = fitted.options
        self.shape, self.margins = self.learned.shape, self.learned.margins
        self.levels: tuple[float, ...] = tuple(self.options["quantiles"])
        self.head = make_head(output_of(self.options["model"], self.options["output"]), self.levels)

    def windows(self, data: SeriesSet) -> Windows:
        """The series as the network reads them."""
        return Windows(data, self.learned.encoding, self.shape)

    def quantiles(self, data: SeriesSet, rows: np.ndarray, origins: np.ndarray) -> np.ndarray:
        """Forecasts (N, T, Q) for series `rows` (N,) of the data from `origins` (N,), counts of steps seen."""
        found, scales = [], []
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
            found.append(values.double().cpu().numpy())
        quantiles = np.concatenate(found)
        if self.margins is not None:
            quantiles = apply_margins(quantiles, np.concatenate(scales), self.levels, self.margins)
        return np.maximum(quantiles, 0.0) if options["nonnegative"] else quantiles

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

    def fit_margins(self, data: SeriesSet, rows: np.ndarray, origins: np.ndarray) -> list[float]:
        """Fit the margins of conformal intervals on windows that training did not see; without windows they are 0."""
        self.margins = None
        if not len(rows):
            self.margins = [0.0] * len(interval_pairs(self.levels))
            return self.margins
        quantiles = self.quantiles(data, rows, origins)
        window = self.windows(data).cut(rows, origins)
        self.margins = fit_margins(window.target.numpy(), quantiles, self._scale(window), self.levels)
        return self.margins

    def _check_unseen(self, data: SeriesSet, plan: Folds) -> None:
        until = self.learned.trained_until
        for row, origin in zip(plan.rows, plan.origins, strict=True):
            one = data.series[row]
            last: Any = data.stamps(one)[origin - 1]
            if one.id in until and int(np.asarray(last).astype(np.int64)) < until[one.id]:
                raise DataError(
                    f"{data.source}: series {one.id!r}: a fold would forecast after {stamp_text(last)}, but training "
                    "saw later steps, and the backtest would flatter. Hold more out in training (--folds; folds=), use "
                    "fewer folds or newer data, or train before each fold (--refit; refit=True)."
                )

    def _scale(self, window: Window) -> np.ndarray:
        return normalize(window.history, self.shape.seasons[0]).scale.squeeze(1).numpy()

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
