"""Days of a local calendar, and calendars that are not a fixed step."""

import numpy as np
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
        (pd.date_range("2020-01-01", periods=48, freq="BME"), "the last business day of the month"),
        (pd.date_range("2020-01-01", periods=5, freq="BME"), "the last business day of the month"),
        (pd.date_range("2020-01-01", periods=48, freq="BQE"), "the last business day of the month"),
        (pd.date_range("2020-01-01", periods=48, freq="BMS"), "the first business day of the month"),
        (pd.date_range("2020-01-01", periods=48, freq="WOM-3FRI"), "the third Friday of the month"),
        (pd.date_range("2020-01-01", periods=48, freq="LWOM-FRI"), "the last Friday of the month"),
        (pd.date_range("2020-01-01", periods=48, freq="SMS"), "twice a month, on days 1 and 15"),
        (pd.date_range("2020-01-01", periods=48, freq="SME"), "twice a month, on day 15 and on the last day"),
    ],
    ids=lambda value: value.freqstr if hasattr(value, "freqstr") else "",
)
def test_a_calendar_of_months_that_is_not_a_fixed_step_is_refused_by_its_name(ds, message):
    table = pd.DataFrame({"ds": ds, "y": range(len(ds))})
    with pytest.raises(
        DataError, match=rf"^frame: the stamps are {message}, which is .*--frequency 1d takes all other"
    ):
        series_from_frame(table)
    assert str(series_from_frame(table, frequency=Frequency.parse("1d")).frequency) == "1d"


def test_the_last_trading_day_is_the_last_business_day_but_for_holidays():
    ds = pd.date_range("2016-01-01", periods=48, freq="BME").to_list()
    ds[26] = pd.Timestamp("2018-03-29")  # before Good Friday
    with pytest.raises(DataError, match="the stamps are the last business day of the month"):
        series_from_frame(pd.DataFrame({"ds": ds, "y": range(48)}))


def test_another_calendar_that_is_not_a_fixed_step_is_refused_with_the_reason():
    gaps = np.tile([9, 10, 11], 10)
    table = pl.DataFrame({"ds": np.datetime64("2024-01-01") + np.cumsum(gaps), "y": range(30)})
    with pytest.raises(
        DataError, match=r"do not follow a fixed step: .* 90 % of the steps would be missing.*--frequency 1d"
    ):
        series_from_frame(table)


def test_months_on_a_fixed_day_are_read_and_a_misplaced_one_is_named():
    ds = pd.date_range("2020-01-01", periods=24, freq="MS").to_list()
    assert str(series_from_frame(pd.DataFrame({"ds": ds, "y": range(24)})).frequency) == "1mo"
    ds[5] = pd.Timestamp("2020-06-02")
    with pytest.raises(DataError, match=r"row 5 .*2020-06-02 is not on the grid of frequency 1mo \(inferred\)"):
        series_from_frame(pd.DataFrame({"ds": ds, "y": range(24)}))


def test_business_days_are_read():
    table = pd.DataFrame({"ds": pd.bdate_range("2024-01-01", periods=30), "y": range(30)})
    assert str(series_from_frame(table).frequency) == "1d"
