"""The times between rows: units, ages of missing values, and stamps that come line by line."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from recurra.data.series.channels import read_channels
from recurra.data.series.line_clock import LineClock
from recurra.data.series.row_times import RowTimes
from recurra.errors import DataError


def times_of(stamps: Any) -> RowTimes:
    times = RowTimes.of(read_channels(pl.DataFrame({"time": stamps, "x": np.arange(len(stamps), dtype=float)})))
    assert times is not None
    return times


def test_the_unit_is_the_median_and_the_longest_gap_is_the_last_that_is_told_apart() -> None:
    times = times_of([0, 10, 20, 30, 90])
    assert times == RowTimes(10.0, 6.0, False, "time")
    assert_array_equal(times.elapsed(np.array([0, 5, 105, 110])), [1, 0.5, 6, 0.5])
    assert times.shortened(25) == 2.5
    assert times.shortened(1e9) == 6
    assert RowTimes.of(read_channels(pl.DataFrame({"x": [1.0, 2.0]}))) is None


def test_stamps_that_are_times_are_in_seconds() -> None:
    stamps = np.datetime64("2026-01-01", "us") + np.array([0, 60, 120, 300]) * np.timedelta64(1, "s")
    times = times_of(stamps)
    assert times == RowTimes(60.0, 3.0, True, "time")
    assert_array_equal(times.elapsed(stamps), [1, 1, 1, 3])


def test_ages_and_times_ahead_are_sums_of_the_times_between() -> None:
    elapsed = np.array([1, 2, 0.5, 4, 1])
    missing = np.array([[1, 0], [1, 0], [0, 1], [1, 1], [0, 0]], bool)
    ages = RowTimes.ages(missing, elapsed)
    assert_array_equal(ages, [[1, 0], [3, 0], [0, 0.5], [4, 4.5], [0, 0]])
    assert_array_equal(RowTimes.ahead(elapsed, 2)[:3], [[2, 2.5], [0.5, 4.5], [4, 5]])
    assert_array_equal(RowTimes.ahead(elapsed, 2)[3:], [[1, 2], [1, 2]])
    forecast = RowTimes.forecast_ages(ages, elapsed, 2)
    # Row 3 is forecast from row 2, 4 units before, whose second value was 0.5 old; and from row 1, 4.5 before.
    assert_allclose(forecast[3], [[4, 4.5], [3 + 4.5, 4.5]])
    assert RowTimes.forecast_ages(ages[:1], elapsed[:1], 4).shape == (1, 4, 2)


def test_lines_are_read_as_a_table_is() -> None:
    clock = LineClock(RowTimes(60, 10, True, "when"), "standard input")
    cells = ["2026-01-01 00:00", "2026-01-01 00:02", "2026-01-01 00:02:30"]
    assert [clock.elapsed(cell, line) for line, cell in enumerate(cells, 2)] == [0, 120, 30]
    with pytest.raises(DataError, match=r"line 5: when is .* earlier"):
        clock.elapsed("2026-01-01", 5)
    with pytest.raises(DataError, match="not a stamp"):
        clock.elapsed("soon", 6)
    counted = LineClock(RowTimes(1, 10, True, "when"), "standard input")
    assert [counted.elapsed(cell, 2) for cell in ("1700000000", "1700000007")] == [0, 7]
    zoned = LineClock(RowTimes(60, 10, True, "when"), "standard input")
    cells = ["2026-01-01 00:00+01:00", "2026-01-01 00:01+01:00", "2026-01-02 00:00+01:00"]
    assert [zoned.elapsed(cell, 2) for cell in cells] == [0, 60, 86_340]
    whole = LineClock(RowTimes(1, 10, False, "when"), "standard input")
    assert [whole.elapsed(cell, 2) for cell in ("3", "8")] == [0, 5]
    with pytest.raises(DataError, match="expected an integer"):
        whole.elapsed("2026-01-01 00:00", 4)
