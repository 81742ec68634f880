"""Days of a local calendar, and calendars that are not a fixed step."""

import pandas as pd
import polars as pl
import pytest

from recurra.data.series.frame import series_from_frame
from recurra.data.series.frequency import Frequency
from recurra.errors import DataError

DAYS = pd.date_range("2024-03-29", periods=5, tz="Europe/Berlin")
TEXT = [day.isoformat() for day in DAYS]


@pytest.mark.parametrize(
    "ds",
    [
        TEXT,
        DAYS,
        pl.Series(DAYS.tz_convert("UTC").tz_localize(None))
        .dt.replace_time_zone("UTC")
        .dt.convert_time_zone("Europe/Berlin"),
    ],
    ids=["text", "pandas", "polars"],
)
def test_days_step_by_the_local_calendar_over_a_change_of_the_clock(ds):
    table = pl.DataFrame({"ds": ds}) if not isinstance(ds, pd.DatetimeIndex) else pd.DataFrame({"ds": ds})
    table = table.with_columns(y=pl.int_range(5)) if isinstance(table, pl.DataFrame) else table.assign(y=range(5))
    data = series_from_frame(table)
    assert str(data.frequency) == "1d"
    assert str(data.series[0].start) == "2024-03-29T00:00:00.000000"
    assert len(data.series[0]) == 5


def test_a_fixed_offset_of_pandas_is_read():
    days = pd.to_datetime([f"2024-01-0{day}T00:00:00+05:30" for day in range(1, 4)])
    data = series_from_frame(pd.DataFrame({"ds": days, "y": [1.0, 2, 3]}))
    assert str(data.series[0].start) == "2024-01-01T00:00:00.000000"


def test_hours_stay_in_utc():
    hours = [f"2024-03-31T0{hour}:00:00+01:00" for hour in range(3)]
    data = series_from_frame(pl.DataFrame({"ds": hours, "y": [1, 2, 3]}))
    assert str(data.series[0].start) == "2024-03-30T23:00:00.000000"
    midnight = series_from_frame(pl.DataFrame({"ds": hours[:1], "y": [1]}), frequency=Frequency.parse("1h"))
    assert midnight.series[0].start == data.series[0].start


@pytest.mark.parametrize(
    ("ds", "message"),
    [
        (pd.date_range("2020-01-01", periods=48, freq="BME"), r"2020-02-28 is not on the grid .*regular steps"),
        (
            pd.date_range("2020-01-01", periods=48, freq="SMS"),
            r"do not follow a fixed step: .* % of the steps would be missing.*--frequency 1d",
        ),
    ],
    ids=["last business day", "twice a month"],
)
def test_a_calendar_that_is_not_a_fixed_step_is_refused_with_the_reason(ds, message):
    table = pd.DataFrame({"ds": ds, "y": range(48)})
    with pytest.raises(DataError, match=message):
        series_from_frame(table)
    assert str(series_from_frame(table, frequency=Frequency.parse("1d")).frequency) == "1d"


def test_business_days_are_read():
    table = pd.DataFrame({"ds": pd.bdate_range("2024-01-01", periods=30), "y": range(30)})
    assert str(series_from_frame(table).frequency) == "1d"
