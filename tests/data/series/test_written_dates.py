"""Dates as spreadsheets and databases write them: day and month in either order, seconds since 1970."""

import logging

import numpy as np
import polars as pl
import pytest

from recurra.data.series.frame import series_from_frame
from recurra.data.series.frequency import Frequency
from recurra.data.series.future import continued_by_frame
from recurra.data.series.series_set import Columns, SeriesSet
from recurra.errors import DataError


def read(ds: list, date_format: str | None = None, frequency: str | None = None) -> SeriesSet:
    frame = pl.DataFrame({"ds": ds, "y": np.arange(len(ds)) + 1.0})
    step = Frequency.parse(frequency) if frequency else None
    return series_from_frame(frame, Columns(date_format=date_format), step)


def first(data: SeriesSet) -> str:
    return str(data.series[0].start)


@pytest.mark.parametrize(
    ("ds", "form"),
    [
        (["12.01.2024", "13.01.2024", "14.01.2024"], "%d.%m.%Y"),
        (["1/12/2024", "1/13/2024", "1/14/2024"], "%m/%d/%Y"),
        (["12-01-2024 00:00", "13-01-2024 00:00"], "%d-%m-%Y %H:%M"),
        (["12.01.2024 00:00:00", "13.01.2024 00:00:00"], "%d.%m.%Y %H:%M:%S"),
    ],
)
def test_an_unambiguous_column_of_days_and_months_is_recognised_and_said(ds, form, caplog):
    with caplog.at_level(logging.INFO):
        data = read(ds)
    assert first(data) == "2024-01-12T00:00:00.000000"
    assert str(data.frequency) == "1d"
    (message,) = caplog.messages
    assert message.endswith(f"dates such as {ds[0]} are read as {form}")


def test_days_and_months_that_cannot_be_told_apart_are_refused_until_the_form_is_given():
    ds = ["01.02.2024", "02.02.2024", "03.02.2024"]
    with pytest.raises(DataError, match=r"01\.02\.2024 may begin .*--date-format %d\.%m\.%Y or %m\.%d\.%Y"):
        read(ds)
    assert first(read(ds, "%d.%m.%Y")) == "2024-02-01T00:00:00.000000"
    assert str(read(ds, "%m.%d.%Y").frequency) == "1mo"


def test_a_form_that_is_given_is_kept_to():
    assert first(read(["1 Jan 24", "2 Jan 24"], "%d %b %y")) == "2024-01-01T00:00:00.000000"
    assert first(read(["2024-02-01", "2024-03-01"], "%Y-%d-%m")) == "2024-01-02T00:00:00.000000"
    with pytest.raises(DataError, match=r"row 1: ds is '2024-01-02', expected a date of the form %d\.%m\.%Y"):
        read(["01.01.2024", "2024-01-02"], "%d.%m.%Y")


def with_point(value: int) -> str:
    return f"{value}.0"


@pytest.mark.parametrize(
    ("factor", "unit"), [(1, "seconds"), (10**3, "milliseconds"), (10**6, "microseconds"), (10**9, "nanoseconds")]
)
@pytest.mark.parametrize("kind", [int, str, float, with_point])
def test_seconds_since_1970_are_times_in_utc_and_said_once(factor, unit, kind, caplog):
    with caplog.at_level(logging.INFO):
        data = read([kind(factor * (1704067200 + 86400 * day)) for day in range(4)])
    assert first(data) == "2024-01-01T00:00:00.000000"
    assert str(data.frequency) == "1d"
    (message,) = caplog.messages
    assert f"{factor * 1704067200} is read as {unit} since 1970, 2024-01-01 UTC" in message


def test_large_integers_are_positions_if_the_frequency_says_so():
    assert read([1704067200, 1704067201], frequency="step").frequency.unit == "step"


def test_a_fraction_of_a_second_is_named():
    with pytest.raises(DataError, match=r"row 1: ds is '1704067200\.5'"):
        read(["1704067200.0", "1704067200.5"])


def test_day_numbers_of_excel_are_positions_and_a_remark(caplog):
    caplog.set_level(logging.INFO)
    assert read([45000, 45001, 45002]).frequency.unit == "step"
    assert "if it is a day number of Excel, it is 2023-03-15" in caplog.text
    caplog.clear()
    read([45000, 45001, 45002], frequency="step")
    read([1, 2, 3])
    assert not caplog.messages


def test_an_hour_of_a_day_is_not_a_second():
    data = read([2024010122, 2024010123, 2024010200])
    assert first(data) == "2024-01-01T22:00:00.000000"
    assert str(data.frequency) == "1h"


def test_a_form_that_is_none_is_refused():
    with pytest.raises(DataError, match=r"row 0: .* of the form %Q"):
        read(["01.01.2024", "02.01.2024"], "%Q")


def test_a_form_that_was_recognised_holds_for_later_rows_that_are_too_few_to_tell_it():
    data = read(["30/1/2024", "31/1/2024", "1/2/2024"])
    assert data.columns.date_format == "%-d/%-m/%Y"
    later = pl.DataFrame({"ds": ["2/2/2024", "3/2/2024"], "y": [1.0, 2.0]})
    assert len(continued_by_frame(data, later).series[0]) == 5
    iso = later.with_columns(ds=pl.Series(["2024-02-02", "2024-02-03"]))
    assert len(continued_by_frame(data, iso).series[0]) == 5
