from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl

from recurra.tasks.forecast import Forecaster
from recurra.tasks.forecast.forecaster import ForecastReading
from recurra.tasks.forecast.pictures import plot_coverage_by_step, plot_forecasts


def test_a_forecast_joins_the_last_observation(tmp_path: Path, drawn: list[Any]) -> None:
    rows = [(date(2024, 1, 1) + timedelta(days=t), float(t)) for t in range(12)]
    frame = pl.DataFrame(rows, schema=["day", "sales"], orient="row")
    reading = ForecastReading(time_column="day", target_column="sales", id_column=None, unit="litres")
    data = Forecaster(horizon=3).read(frame, None, reading, True)
    levels = (0.1, 0.25, 0.5, 0.75, 0.9)
    quantiles = 20 + np.arange(15.0).reshape(1, 3, 5)
    (series,) = data
    plot_forecasts(data, quantiles, levels, [series.id], tmp_path / "a.png")
    (ax,) = drawn[0].axes
    lines = {str(line.get_label()): np.asarray(line.get_ydata(), float) for line in ax.lines}
    assert lines["observed"][-1] == lines["forecast"][0] == 11
    np.testing.assert_allclose(lines["forecast"][1:], quantiles[0, :, 2])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("day", "sales, litres")
    (legend,) = drawn[0].legends
    assert {text.get_text() for text in legend.get_texts()} == {
        *("observed", "forecast", "80 % interval", "50 % interval")
    }


def test_the_legend_of_coverage_lies_over_no_curve(tmp_path: Path, drawn: list[Any]) -> None:
    covered = {"80": np.full(6, 0.79), "50": np.full(6, 0.52)}
    plot_coverage_by_step(SimpleNamespace(coverage_by_step=covered), tmp_path / "a.png")  # type: ignore[arg-type]
    (figure,) = drawn
    (legend,) = figure.legends
    assert not legend.get_window_extent().overlaps(figure.axes[0].get_window_extent())
