"""Pictures of forecasts: fan charts, and the error by step of the horizon."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from recurra.data.series.series_set import Series, SeriesSet
from recurra.figures import write_figure
from recurra.models.forecasting.conformal import interval_pairs, nominal_percent
from recurra.tasks.forecast.backtest import Backtest

__all__ = ["plot_backtest", "plot_coverage_by_step", "plot_error_by_step", "plot_forecasts", "typical_series"]

_BLUE, _GREY, _RED, _BLACK = "#1f5fa8", "#8a8a8a", "#c44536", "#222222"
_HISTORY_HORIZONS = 4


def typical_series(backtest: Backtest, count: int) -> list[str]:
    """Ids of series to show: spread evenly from the best forecast to the worst, neither chosen for its looks."""
    measures = backtest.by_series
    ranked = sorted(measures, key=lambda name: np.nan_to_num(measures[name]["model"]["MASE"], nan=np.inf))
    ranks = np.linspace(0, len(ranked) - 1, count + 2)[1:-1] if len(ranked) > count else range(len(ranked))
    return [ranked[round(rank)] for rank in ranks]


def plot_backtest(backtest: Backtest, ids: Sequence[str], path: Path) -> None:
    """Each chosen series' last steps, with the forecasts of all its folds over the truth."""
    figure, axes = _panels(len(ids))
    rows = {series.id: row for row, series in enumerate(backtest.data)}
    horizon = backtest.truth.shape[1]
    for ax, name in zip(axes, ids, strict=True):
        row = rows[name]
        series = backtest.data.series[row]
        windows = np.flatnonzero(backtest.folds.rows == row)
        origins = backtest.folds.origins[windows]
        first = max(0, int(origins.min()) - _HISTORY_HORIZONS * horizon)
        stamps = backtest.data.form.local(backtest.data.stamps_at(series, np.arange(first, len(series))))
        ax.plot(stamps, series.y[first:], color=_BLACK, linewidth=1, label="observed")
        for index, (window, origin) in enumerate(zip(windows, origins, strict=True)):
            # From the last observation on, without a gap.
            begin = origin - 1 - first
            joined, last = stamps[begin : begin + 1 + horizon], float(series.y[origin - 1])
            _fan(ax, joined, backtest.quantiles[window], backtest.levels, last, labelled=index == 0)
            ax.plot(
                joined,
                np.concatenate([[last], backtest.points["seasonal naive"][window]]),
                color=_RED,
                linewidth=0.9,
                linestyle=":",
                label="seasonal naive" if index == 0 else None,
            )
            ax.axvline(joined[1], color=_GREY, linewidth=0.6)
        _finish(ax, name, stamps, backtest.data)
    _legend(figure, axes[0])
    write_figure(figure, path)


def plot_forecasts(
    data: SeriesSet, quantiles: np.ndarray, levels: tuple[float, ...], ids: Sequence[str], path: Path
) -> None:
    """Each chosen series' last steps and its forecast (T, Q)."""
    figure, axes = _panels(len(ids))
    horizon = quantiles.shape[1]
    rows = {series.id: row for row, series in enumerate(data)}
    for ax, name in zip(axes, ids, strict=True):
        series: Series = data.series[rows[name]]
        first = max(0, len(series) - _HISTORY_HORIZONS * horizon)
        stamps = data.form.local(data.stamps_at(series, np.arange(first, len(series) + horizon)))
        ax.plot(stamps[:-horizon], series.y[first:], color=_BLACK, linewidth=1, label="observed")
        _fan(ax, stamps[-horizon - 1 :], quantiles[rows[name]], levels, float(series.y[-1]), labelled=True)
        _finish(ax, name, stamps, data)
    _legend(figure, axes[0])
    write_figure(figure, path)


def plot_error_by_step(backtest: Backtest, path: Path) -> None:
    """The mean absolute scaled error of each step of the horizon, by method."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    ax = figure.subplots()
    colours = {"model": _BLUE, "seasonal naive": _RED, "naive": _GREY}
    for method, errors in backtest.by_step.items():
        ax.plot(np.arange(1, len(errors) + 1), errors, color=colours[method], label=method, linewidth=1.6)
    ax.set_xlabel("steps ahead")
    ax.set_ylabel("mean absolute scaled error")
    ax.set_ylim(bottom=0)
    ax.legend(frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    write_figure(figure, path)


def plot_coverage_by_step(backtest: Backtest, path: Path) -> None:
    """What each interval covers at each step of the horizon, beside what it should cover."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    ax = figure.subplots()
    for nominal, covered in backtest.coverage_by_step.items():
        (line,) = ax.plot(np.arange(1, len(covered) + 1), 100 * covered, label=f"{nominal} % interval", linewidth=1.6)
        ax.axhline(float(nominal), color=line.get_color(), linewidth=0.9, linestyle=":")
    ax.set_xlabel("steps ahead")
    ax.set_ylabel("truth within the interval, % (dotted: nominal)")
    ax.set_ylim(0, 100)
    ax.spines[["top", "right"]].set_visible(False)
    if backtest.coverage_by_step:
        # Below the axes: within them it would lie over a curve or a nominal level.
        _legend(figure, ax)
    write_figure(figure, path)


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(9, 0.5 + 2.6 * count), layout="constrained")
    return figure, list(figure.subplots(count, 1, squeeze=False)[:, 0])


def _fan(
    ax: Axes, stamps: np.ndarray, quantiles: np.ndarray, levels: tuple[float, ...], last: float, labelled: bool
) -> None:
    """Draw intervals and median (T, Q) over stamps (T + 1,), the first of which is that of the last observation."""
    values = np.concatenate([np.full((1, quantiles.shape[1]), last), quantiles])
    for index, (low, high) in enumerate(interval_pairs(levels)):
        ax.fill_between(
            stamps,
            values[:, low],
            values[:, high],
            color=_BLUE,
            alpha=min(0.6, 0.14 * (index + 1)),
            linewidth=0,
            label=f"{nominal_percent(levels, (low, high))} % interval" if labelled else None,
        )
    ax.plot(stamps, values[:, levels.index(0.5)], color=_BLUE, linewidth=1.4, label="forecast" if labelled else None)


def _finish(ax: Axes, name: str, stamps: np.ndarray, data: SeriesSet) -> None:
    ax.set_title(name, loc="left", fontsize=10, parse_math=False)
    target, unit = data.columns.target, data.columns.unit
    ax.set_ylabel(f"{target}, {unit}" if unit else target, parse_math=False)
    ax.set_xlabel(data.columns.time, parse_math=False)
    ax.spines[["top", "right"]].set_visible(False)
    ax.margins(x=0.01)
    if np.issubdtype(stamps.dtype, np.datetime64):
        locator = AutoDateLocator()
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))


def _legend(figure: Figure, ax: Axes) -> None:
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
