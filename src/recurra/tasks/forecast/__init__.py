"""Forecasting: series from a file to forecasts with intervals, and a backtest. Names load on first use."""

from typing import TYPE_CHECKING

from recurra.lazy_names import lazy_names

if TYPE_CHECKING:
    from recurra.tasks.forecast.backtest import Backtest
    from recurra.tasks.forecast.forecaster import Forecaster, ForecastReading
    from recurra.tasks.forecast.results import Forecasts

__all__ = ["Backtest", "ForecastReading", "Forecaster", "Forecasts"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "recurra.tasks.forecast.backtest": ("Backtest",),
        "recurra.tasks.forecast.forecaster": ("ForecastReading", "Forecaster"),
        "recurra.tasks.forecast.results": ("Forecasts",),
    },
)
