"""Days of a local calendar, and calendars that are not a fixed step."""

import logging

import numpy as np
import pandas as pd
import polars as pl
import pytest

from recurra.data.series.frame import series_from_frame
from recurra.data.series.frequency import Frequency
from recurra.data.series.future import continued_by_frame
from recurra.errors import DataError

DAYS = pd.date_range("2024-03-29", periods=5, tz="Europe/Berlin")
DAYS_OF_YEAR = pd.date_range("2024-01-01", periods=366)
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


def local_times(kind: str, stamps: pd.DatetimeIndex):
    """A frame of stamps in the zone of Berlin."""
    y = np.arange(float(len(stamps)))
    if kind == "pandas":
        return pd.DataFrame({"ds": stamps, "y": y})
    text = pl.DataFrame({"ds": [stamp.isoformat() for stamp in stamps], "y": y})
    if kind == "text":
        return text
    times = pl.col("ds").str.to_datetime("%Y-%m-%dT%H:%M:%S%z", time_unit="us")
    return text.with_columns(times.dt.convert_time_zone("Europe/Berlin"))


@pytest.mark.parametrize("kind", ["text", "pandas", "polars"])
@pytest.mark.parametrize(("first", "step"), [("06:00", "1d"), ("06:00", "12h"), ("01:00", "6h"), ("09:30", "1w")])
def test_times_step_by_the_local_clock_over_its_changes(kind, first, step):
    start = np.datetime64(f"2024-03-27T{first}")
    local = pd.DatetimeIndex(Frequency.parse(step).stamps(start, 41)).tz_localize("Europe/Berlin")
    data = series_from_frame(local_times(kind, local[:40]))
    assert str(data.frequency) == step
    assert data.form.is_local
    assert data.form.zone == "Europe/Berlin"
    assert data.series[0].start == start
    assert len(data.series[0]) == 40
    following = data.form.utc(data.stamps(data.series[0], 1)[-1:])
    assert following[0] == local[40].tz_convert("UTC").tz_localize(None)
    later = continued_by_frame(data, local_times(kind, local[40:]))
    assert len(later.series[0]) == 41


@pytest.mark.parametrize("step", ["1h", "3h", "6h"])
def test_times_that_are_regular_in_utc_stay_in_utc(step):
    utc = pd.date_range("2024-03-20", periods=200, freq=step, tz="UTC")
    data = series_from_frame(local_times("text", utc.tz_convert("Europe/Berlin")))
    assert not data.form.is_local
    assert str(data.frequency) == step
    assert len(data.series[0]) == 200


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("2024-03-30T00:30:00+01:00", "is not on the grid of frequency 1d"),
        ("2024-03-30", "without an offset from UTC"),
        ("2024-03-30T00:00:00", "without an offset from UTC"),
        ("2024-02-30T00:00:00+01:00", "not a stamp"),
    ],
)
@pytest.mark.parametrize("hour", ["00", "06"])
def test_a_wrong_stamp_among_local_times_is_named(wrong, message, hour):
    frame = local_times("text", pd.date_range(f"2024-03-20 {hour}:00", periods=40, tz="Europe/Berlin"))
    stamps = frame["ds"].to_list()
    stamps[10] = wrong.replace("T00:", f"T{hour}:")
    with pytest.raises(DataError, match=rf"row 10.*{message}"):
        series_from_frame(frame.with_columns(ds=pl.Series(stamps)))


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


@pytest.mark.parametrize("periods", [5, 48])
@pytest.mark.parametrize("freq", ["BME", "BMS", "2BME", "BQE", "BQE-OCT", "BQS", "BYE", "BYS"])
def test_business_days_at_either_end_of_months_are_a_calendar(freq, periods):
    # An end of a period on a weekend is among the first five.
    ds = pd.date_range("2017-02-01", periods=periods + 7, freq=freq)
    data = series_from_frame(pd.DataFrame({"ds": ds[:periods], "y": range(periods)}))
    assert data.frequency == Frequency.parse(freq)
    assert data.stamps(data.series[0], 7).tolist() == ds.to_pydatetime().tolist()
    assert len(data.series[0]) == periods


def test_ends_of_months_that_are_all_business_days_are_ends_of_months():
    ds = ["2024-01-31", "2024-02-29", "2024-04-30", "2024-05-31", "2024-07-31"]
    data = series_from_frame(pd.DataFrame({"ds": ds, "y": range(5)}))
    assert str(data.frequency) == "1mo"
    stated = series_from_frame(pd.DataFrame({"ds": ds, "y": range(5)}), frequency=Frequency.parse("BME"))
    assert str(stated.stamps(stated.series[0], 1)[-1]) == "2024-08-30T00:00:00.000000"


def test_the_last_trading_day_is_the_last_business_day_but_for_holidays(caplog):
    ds = pd.date_range("2016-01-29 16:00", periods=48, freq="BME").to_list()
    ds[26] = pd.Timestamp("2018-03-29 16:00")  # before Good Friday
    with caplog.at_level(logging.INFO, "recurra"):
        data = series_from_frame(pd.DataFrame({"ds": ds, "y": range(48)}))
    assert "1 of 48, such as 2018-03-29" in caplog.text
    assert str(data.frequency) == "1BME"
    assert np.array_equal(data.series[0].y, np.arange(48))
    assert str(data.stamps(data.series[0], 1)[-1]) == "2020-01-31T16:00:00.000000"


@pytest.mark.parametrize(
    ("at", "stamp", "message"),
    [
        (5, "2020-06-11", r"row 5 .*2020-06-11 is not on the grid of frequency 1BME"),
        (5, "2020-06-30 01:00", r"row 5 .*06-30 01:00 is not on the grid of frequency 1BME"),
        (6, "2020-06-29", r"2020-06-29 .* 2020-06-30 .* both read as the last business day .* Keep one row"),
    ],
)
def test_a_stamp_that_no_holiday_explains_is_named(at, stamp, message):
    ds = pd.date_range("2020-01-01", periods=24, freq="BME").to_list()
    ds[at] = pd.Timestamp(stamp)
    with pytest.raises(DataError, match=message):
        series_from_frame(pd.DataFrame({"ds": ds, "y": range(24)}), frequency=Frequency.parse("BME"))


def test_series_whose_holidays_differ_share_a_calendar():
    ds = pd.date_range("2016-01-01", periods=30, freq="BMS")
    other = ds.to_list()
    other[12] = pd.Timestamp("2017-01-03")
    table = pd.DataFrame({"unique_id": ["a"] * 30 + ["b"] * 30, "ds": [*ds, *other], "y": range(60)})
    data = series_from_frame(table)
    assert str(data.frequency) == "1BMS"
    assert [len(series) for series in data] == [30, 30]


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


HOURS = pd.date_range("2024-01-01", periods=24 * 60, freq="h")


@pytest.mark.parametrize(
    ("ds", "percent"),
    [
        (DAYS_OF_YEAR[DAYS_OF_YEAR.day_of_week.isin([0, 3])], "71 %"),
        (HOURS[HOURS.hour.isin(range(9, 17)) & (HOURS.day_of_week < 5)], "75 %"),
        (DAYS_OF_YEAR[DAYS_OF_YEAR.day_of_week < 5], ""),
    ],
)
def test_a_grid_of_which_most_is_missing_is_said(ds, percent, caplog):
    data = series_from_frame(pd.DataFrame({"ds": ds, "y": np.arange(float(len(ds)))}))
    assert len(data.series[0]) > len(ds)
    assert [percent in message and "integers" in message for message in caplog.messages] == [True] * bool(percent)
