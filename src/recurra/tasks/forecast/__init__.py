"""Forecasting: series from a file to forecasts with intervals, and an honest backtest."""

from recurra.tasks.forecast.backtest import Backtest
from recurra.tasks.forecast.forecaster import Forecaster
from recurra.tasks.forecast.settings import ForecastSettings

__all__ = ["Backtest", "ForecastSettings", "Forecaster"]
