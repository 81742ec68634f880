from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recurra.tasks.forecast import Forecaster
from recurra.tasks.forecast.forecaster import ForecastReading
from recurra.tasks.forecast.pictures import plot_forecasts


def test_a_forecast_joins_the_last_observation(tmp_path: Path, drawn: list[Any]) -> None:
    rows = [(date(2024, 1, 1) + timedelta(days=t), float(t)) for t in range(12)]
    frame = pl.DataFrame(rows, schema=["day", "litres"], orient="row")
    reading = ForecastReading(time_column="day", target_column="litres", id_column=None)
    data = Forecaster(horizon=3).read(frame, None, reading, True)
    levels = (0.1, 0.25, 0.5, 0.75, 0.9)
    quantiles = 20 + np.arange(15.0).reshape(1, 3, 5)
    (series,) = data
    plot_forecasts(data, quantiles, levels, [series.id], tmp_path / "a.png")
    (ax,) = drawn[0].axes
    lines = {str(line.get_label()): np.asarray(line.get_ydata(), float) for line in ax.lines}
    assert lines["observed"][-1] == lines["forecast"][0] == 11
    np.testing.assert_allclose(lines["forecast"][1:], quantiles[0, :, 2])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("day", "litres")
    (legend,) = drawn[0].legends
    assert {text.get_text() for text in legend.get_texts()} == {
        *("observed", "forecast", "80 % interval", "50 % interval")
    }
