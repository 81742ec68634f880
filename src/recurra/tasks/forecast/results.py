"""Forecasts as frames: the kind of frame that was given, polars or pandas."""

from datetime import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import polars.selectors

from recurra.data.series.series_set import SeriesSet
from recurra.files import write_atomically

__all__ = ["backtest_frame", "forecast_frame", "like", "write_frame"]


def forecast_frame(data: SeriesSet, quantiles: np.ndarray, levels: tuple[float, ...]) -> pl.DataFrame:
    """Forecasts after the end of each series: id, stamp, `forecast` (the median), and a column a quantile, `q0.1`.

    Args:
        data: N series.
        quantiles: (N, T, Q).
        levels: (Q,).
    """
    horizon = quantiles.shape[1]
    stamps = np.concatenate([data.stamps(series, horizon)[-horizon:] for series in data])
    names = {data.columns.id or "unique_id": np.repeat(data.ids, horizon).tolist(), data.columns.time: stamps}
    return pl.DataFrame({**names, **_values(quantiles, levels)})


def backtest_frame(
    data: SeriesSet,
    rows: np.ndarray,
    origins: np.ndarray,
    truth: np.ndarray,
    quantiles: np.ndarray,
    levels: tuple[float, ...],
) -> pl.DataFrame:
    """Forecasts of windows beside the truth: id, `cutoff` (the last stamp seen), stamp, truth, forecast, quantiles."""
    horizon = truth.shape[1]
    stamps = {row: data.stamps(data.series[row]) for row in np.unique(rows)}
    names = {
        data.columns.id or "unique_id": np.repeat([data.series[row].id for row in rows], horizon).tolist(),
        "cutoff": np.repeat(
            np.stack([stamps[row][origin - 1] for row, origin in zip(rows, origins, strict=True)]), horizon
        ),
        data.columns.time: np.concatenate(
            [stamps[row][origin : origin + horizon] for row, origin in zip(rows, origins, strict=True)]
        ),
        data.columns.target: truth.ravel(),
    }
    return pl.DataFrame({**names, **_values(quantiles, levels)})


def like(frame: pl.DataFrame, given: Any) -> Any:
    """The frame as pandas where what was given is pandas, else as it is."""
    if type(given).__module__.partition(".")[0] != "pandas":
        return frame
    import pandas as pd

    return pd.DataFrame({column.name: column.to_numpy() for column in frame})


def write_frame(frame: pl.DataFrame, path: Path) -> None:
    """Write a frame whole, as its path ends: `.parquet`, else CSV. Stamps at midnight throughout are written as dates.

    Raises:
        RunError: where the file cannot be written.
    """
    if path.suffix == ".parquet":
        write_atomically(path, lambda aside: frame.write_parquet(aside))
        return
    stamps = frame.select(pl.selectors.datetime())
    daily = all((column.dt.time() == time(0)).all() for column in stamps)
    style = "%Y-%m-%d" if daily else "%Y-%m-%d %H:%M:%S"
    write_atomically(path, lambda aside: frame.write_csv(aside, datetime_format=style))


def _values(quantiles: np.ndarray, levels: tuple[float, ...]) -> dict[str, np.ndarray]:
    values = {"forecast": quantiles[..., levels.index(0.5)].ravel()}
    return values | {f"q{level:g}": quantiles[..., k].ravel() for k, level in enumerate(levels)}
