"""Series, windows and forecasters that the tests of the forecasting task are made of."""

from typing import Any

import numpy as np
import polars as pl

from recurra.data.series.covariates import CovariateEncoding
from recurra.data.series.frequency import Frequency
from recurra.data.series.series_set import Columns, Series, SeriesSet
from recurra.data.series.windows import Windows, WindowShape
from recurra.tasks.forecast import Forecaster
from recurra.tasks.forecast.model import ForecastModel

# A network that trains in a moment; what it forecasts is of no matter.
TINY: dict[str, Any] = {
    "hidden_size": 8,
    "max_steps": 3,
    "batch_size": 8,
    "sample_paths": 20,
    "context_length": 8,
    "device": "cpu",
    "folds": 0,
}


def tiny(**options: Any) -> Forecaster:
    return Forecaster(**{"horizon": 5, **TINY, **options})


def untrained(data: SeriesSet, **options: Any) -> ForecastModel:
    forecaster = tiny(**options)
    return ForecastModel(forecaster.assemble(forecaster.learn(data, None), None, {}))


def days(n: int, first: int = 0) -> np.ndarray:
    return np.datetime64("2024-01-01", "us") + np.arange(first, first + n) * np.timedelta64(1, "D")


def weekly_values(n: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=n)
    return 20 + 5 * np.sin(2 * np.pi * np.arange(n) / 7) + 0.5 * noise


def long_frame(lengths: dict[str, int] | None = None, seed: int = 0) -> pl.DataFrame:
    """Daily series with a weekly season, by id and length."""
    lengths = {"a": 60, "b": 70} if lengths is None else lengths
    return pl.concat(
        pl.DataFrame({"unique_id": [name] * n, "ds": days(n), "y": weekly_values(n, seed + k)})
        for k, (name, n) in enumerate(lengths.items())
    )


def series_set(
    *values: Any, seasons: tuple[int, ...] = (7,), known: int = 0, past: int = 0, ahead: int = 0
) -> SeriesSet:
    """Series at integer positions, called 0, 1, 2, with random covariates."""
    generator = np.random.default_rng(1)
    series = tuple(
        Series(
            str(k),
            0,
            np.asarray(y, dtype=np.float64),
            generator.normal(size=(len(y), past)),
            generator.normal(size=(len(y) + ahead, known)),
            (),
        )
        for k, y in enumerate(values)
    )
    columns = Columns(past=tuple(f"p{k}" for k in range(past)), known=tuple(f"k{k}" for k in range(known)))
    return SeriesSet(series, Frequency(1, "step", seasons), columns, "made")


def windows_of(data: SeriesSet, shape: WindowShape) -> Windows:
    return Windows(data, CovariateEncoding.fit(data, calendar=False, holidays=None), shape)
