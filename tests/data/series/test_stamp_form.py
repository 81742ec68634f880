"""Stamps come back in the zone and the form in which they came."""

import logging
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from recurra.data.series.calendar import holiday_feature
from recurra.data.series.covariates import CovariateEncoding
from recurra.data.series.frame import series_from_frame
from recurra.data.series.frequency import Frequency
from recurra.data.series.future import attach_future
from recurra.data.series.read import read_series
from recurra.data.series.series_set import Columns, SeriesSet
from recurra.data.series.store import series_from_arrays, series_to_arrays, set_values
from recurra.data.series.zones import from_local, to_local, zone_of_offsets
from recurra.errors import DataError

AHEAD = 4


def ahead(data: SeriesSet) -> np.ndarray:
    """The stamps of the steps after the end of the only series."""
    return data.stamps(data.series[0], AHEAD)[-AHEAD:]


def from_file(folder: Path, stamps: list[str], columns: Columns | None = None) -> SeriesSet:
    path = folder / "data.csv"
    path.write_text("ds;y\n" + "".join(f"{stamp};{k + 1.5}\n" for k, stamp in enumerate(stamps)))
    return read_series(path, columns)


def in_form(start: str, periods: int, step: str, form: str, zone: str | None = None) -> list[str]:
    times = pd.date_range(start, periods=periods, freq=step, tz=zone)
    texts = [time.isoformat() if form == "isoformat" else time.strftime(form) for time in times]
    return [text.replace("Q0", f"Q{time.quarter}") for text, time in zip(texts, times, strict=True)]


FORMS = [
    ("2024-01-20", "D", "%Y-%m-%d", None),
    ("2024-01-20", "D", "%Y/%m/%d", None),
    ("2024-01-20", "D", "%d.%m.%Y %H:%M", None),
    ("2024-01-20", "D", "%-m/%-d/%Y", None),
    ("2024-01-20", "D", "%Y%m%d", None),
    ("2024-01-20", "D", "%Y-%m-%d %H:%M:%S", None),
    ("2024-01-20", "h", "%Y-%m-%dT%H:%M", None),
    ("2024-01-20", "h", "%Y%m%d%H", None),
    ("2024-01-20", "h", "%Y-%m-%dT%H:%M:%SZ", "UTC"),
    ("2024-01-20", "h", "%Y-%m-%d %H:%M UTC", "UTC"),
    ("2024-01-20", "s", "%Y-%m-%dT%H:%M:%S.000", None),
    ("2024-01-01", "MS", "%Y-%m", None),
    ("2024-01-01", "QS", "%YQ0", None),
    ("2024-01-01", "QS", "%Y-Q0", None),
    ("2024-01-20", "D", "isoformat", "+01:00"),
    ("2024-01-20", "D", "%Y-%m-%d %H:%M:%S%z", "-05:30"),
    ("2024-01-20", "h", "isoformat", "+05:45"),
    ("2024-03-15", "D", "isoformat", "Europe/Berlin"),
    ("2024-03-29 12:00", "h", "isoformat", "Europe/Berlin"),
    ("2024-10-26 12:00", "h", "isoformat", "America/New_York"),
    ("2024-03-05", "D", "isoformat", "America/New_York"),
    ("2024-01-20", "D", "isoformat", "Z"),
]


@pytest.mark.parametrize(("start", "step", "form", "zone"), FORMS, ids=lambda value: str(value))
def test_stamps_of_a_file_are_written_as_they_stand_in_it(tmp_path, start, step, form, zone):
    expected = in_form(start, 80 + AHEAD, step, form, "UTC" if zone == "Z" else zone)
    if zone == "Z":
        expected = [text.replace("+00:00", "Z") for text in expected]
    data = from_file(tmp_path, expected[:-AHEAD])
    assert len(data.series[0]) == 80
    assert data.form.written(ahead(data)).to_list() == expected[-AHEAD:]
    assert data.form.written(data.stamps(data.series[0])).to_list() == expected[:-AHEAD]
    assert data.form.shown(data.series[0].start) == expected[0]  # type: ignore[arg-type]
    # In Python they are typed: the moments are the same.
    typed = data.form.column(ahead(data))
    assert isinstance(typed.dtype, pl.Datetime)
    if zone is not None:
        times = pd.to_datetime(expected[-AHEAD:], utc=True).to_list()
        assert [time.timestamp() for time in typed] == [time.timestamp() for time in times]
    assert series_from_arrays(set_values(data), series_to_arrays(data)).form == data.form


@pytest.mark.parametrize("factor", [1, 10**3, 10**6, 10**9])
def test_unix_times_are_written_as_such(tmp_path, factor):
    stamps = [str((1704067200 + 3600 * k) * factor) for k in range(60 + AHEAD)]
    data = from_file(tmp_path, stamps[:-AHEAD])
    assert data.form.written(ahead(data)).to_list() == stamps[-AHEAD:]
    frame = pl.DataFrame({"ds": [int(stamp) for stamp in stamps[:-AHEAD]], "y": np.arange(60.0)})
    data = series_from_frame(frame)
    assert data.form.column(ahead(data)).to_list() == [int(stamp) for stamp in stamps[-AHEAD:]]


@pytest.mark.parametrize("form", ["%d.%m.%y", "%d %b %Y"])
def test_a_stated_form_is_the_form_in_which_stamps_are_written(tmp_path, form):
    stamps = in_form("2024-01-01", 60 + AHEAD, "D", form)
    data = from_file(tmp_path, stamps[:-AHEAD], Columns(date_format=form))
    assert data.form.written(ahead(data)).to_list() == stamps[-AHEAD:]


@pytest.mark.parametrize(
    ("form", "step"),
    [
        ("%d-%b-%Y", "D"),
        ("%d-%b-%y", "D"),
        ("%d %B %Y", "D"),
        ("%b %d, %Y", "D"),
        ("%B %Y", "MS"),
        ("%YM%m", "MS"),
        ("%G-W%V", "7D"),
        ("%m/%d/%Y %I:%M %p", "D"),
    ],
)
def test_dates_that_can_be_read_in_one_way_only_are_recognised_and_written_as_they_came(tmp_path, form, step):
    stamps = in_form("2024-01-01", 60 + AHEAD, step, form)
    data = from_file(tmp_path, [f'"{stamp}"' for stamp in stamps[:-AHEAD]])
    assert str(data.series[0].start)[:10] == "2024-01-01"
    assert str(data.frequency) == {"D": "1d", "MS": "1mo", "7D": "1w"}[step]
    assert data.form.written(ahead(data)).to_list() == stamps[-AHEAD:]
    stamps[7] = "no date"
    with pytest.raises(DataError, match=r"line 9: ds is 'no date'"):
        from_file(tmp_path, [f'"{stamp}"' for stamp in stamps[:-AHEAD]])


def test_a_form_that_would_lose_the_time_of_day_is_not_written(tmp_path):
    # A spreadsheet leaves midnight out; here only midnights have been written in full.
    data = from_file(tmp_path, ["2024-01-01", "2024-01-02", "2024-01-03"])
    noon = data.series[0].start + np.timedelta64(12, "h")
    assert data.form.written(np.array([noon])).to_list() == ["2024-01-01 12:00:00"]
    mixed = from_file(tmp_path, ["2024-01-01", "2024-01-01 12:00", "2024-01-02"])
    assert mixed.form.written(ahead(mixed)).to_list()[0] == "2024-01-02 12:00"


@pytest.mark.parametrize(
    "column",
    [
        pl.Series([date(2024, 1, day) for day in range(1, 31)]),
        pl.datetime_range(pl.datetime(2024, 1, 1), pl.datetime(2024, 1, 30), "1d", time_zone="Asia/Tokyo", eager=True),
        pl.datetime_range(pl.datetime(2024, 1, 1), pl.datetime(2024, 1, 3), "1h", time_zone="Asia/Tokyo", eager=True),
        pl.Series([f"2024-01-{day:02}" for day in range(1, 31)]),
        pl.Series([20240101 + day for day in range(30)]),
        pl.Series(np.arange(30)),
    ],
    ids=lambda column: str(column.dtype),
)
def test_a_column_of_a_frame_comes_back_of_its_kind(column):
    rows = len(column) - AHEAD
    data = series_from_frame(pl.DataFrame({"ds": column[:rows], "y": np.arange(float(rows))}))
    found = data.form.column(ahead(data))
    assert found.dtype == column.dtype
    assert found.to_list() == column[rows:].to_list()


def test_the_calendar_and_the_holidays_are_by_local_time():
    pytest.importorskip("holidays")
    hours = pd.date_range("2023-12-01", periods=24 * 40, freq="h", tz="Europe/Berlin")
    data = series_from_frame(pd.DataFrame({"ds": hours, "y": np.arange(len(hours)) * 1.0}))
    plain = series_from_frame(pd.DataFrame({"ds": hours.tz_localize(None), "y": np.arange(len(hours)) * 1.0}))
    first, second = (CovariateEncoding.fit(one, True, "DE").encode(one, one.series[0], 5) for one in (data, plain))
    np.testing.assert_array_equal(first.known, second.known)
    assert str(data.series[0].start) == "2023-11-30T23:00:00.000000"
    christmas = np.flatnonzero(holiday_feature("DE", data.form.local(data.stamps(data.series[0]))))
    assert str(hours.to_list()[christmas[0]].isoformat()) == "2023-12-25T00:00:00+01:00"


def test_offsets_that_change_are_those_of_a_zone_and_this_is_said_once(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    stamps = in_form("2024-03-20", 20, "D", "isoformat", "Europe/Berlin")
    data = from_file(tmp_path, stamps)
    assert data.form.zone == "Europe/Berlin"
    (message,) = caplog.messages
    assert message.endswith("the offsets of the stamps change; they are taken for those of Europe/Berlin")
    caplog.clear()
    from_file(tmp_path, stamps[:5])
    assert not caplog.messages


def test_offsets_of_no_zone_continue_with_the_last():
    local = np.datetime64("2024-01-01", "us") + np.arange(4) * np.timedelta64(1, "D")
    assert zone_of_offsets(local, pl.Series(["+01:00", "-07:30", "+01:00", "+0230"])) == "+02:30"
    assert zone_of_offsets(local, pl.Series(["+01:00", "+0100", "+01:00", "+01:00"])) == "+01:00"


def test_a_midnight_that_the_clock_leaves_out_is_an_hour_later():
    # Chile's clocks went from 0 to 1 o'clock on 2024-09-08.
    local = np.array(["2024-09-07", "2024-09-08", "2024-09-09"], "M8[us]")
    utc = from_local(local, "America/Santiago")
    assert to_local(utc, "America/Santiago").astype(str).tolist() == [
        "2024-09-07T00:00:00.000000",
        "2024-09-08T01:00:00.000000",
        "2024-09-09T00:00:00.000000",
    ]


@pytest.mark.parametrize(
    ("stamps", "message"),
    [
        (
            ["2024-01-01T00:00:00+01:00", "2024-01-01T01:00:00+01:00", "2024-01-01T01:00:00+01:00"],
            r"line 4: the stamp 2024-01-01T01:00:00\+01:00 is already at line 3",
        ),
        (
            [*in_form("2024-01-01", 9, "h", "isoformat", "+01:00"), "2024-01-01T09:07:00+01:00"],
            r"line 11 .* the stamp 2024-01-01T09:07:00\+01:00 is not .* starts at 2024-01-01T00:00:00\+01:00",
        ),
        (["13.01.2024", "14.01.2024", "14.01.2024"], r"line 4: the stamp 14\.01\.2024 is already at line 3"),
        (["1704067200", "1704067260", "1704067260"], r"line 4: the stamp 1704067260 is already at line 3"),
    ],
)
def test_errors_quote_the_file_s_own_stamp(tmp_path, stamps, message):
    with pytest.raises(DataError, match=message):
        from_file(tmp_path, stamps)


def test_an_hour_that_the_clock_shows_twice_is_refused_with_the_way_out(tmp_path):
    hours = in_form("2024-10-26", 60, "h", "%Y-%m-%d %H:%M", "Europe/Berlin")
    with pytest.raises(DataError, match=r"stamp 2024-10-27 02:00 is already at line 28\. If the clock was set back"):
        from_file(tmp_path, hours)
    assert len(from_file(tmp_path, in_form("2024-10-26", 60, "h", "isoformat", "Europe/Berlin")).series[0]) == 60
    with pytest.raises(DataError, match=r"already at line 3\. If the rows"):
        from_file(tmp_path, ["2024-10-25 01:00", "2024-10-25 02:00", "2024-10-25 02:00"])


def test_future_rows_that_do_not_follow_are_named_as_they_stand():
    hours = in_form("2024-01-01", 30, "h", "isoformat", "+01:00")
    frame = pl.DataFrame({"ds": hours, "y": np.arange(30.0), "k": 1.0})
    data = series_from_frame(frame, Columns(known=("k",)))
    later = pl.DataFrame({"ds": ["2024-01-02T08:00:00+01:00"], "k": [1.0]})
    with pytest.raises(
        DataError, match=r"stamp 2024-01-02T08:00:00\+01:00 does not .* next step is 2024-01-02T06:00:00\+01:00"
    ):
        attach_future(data, later)


def test_a_frequency_of_hours_keeps_a_midnight_in_utc():
    frame = pl.DataFrame({"ds": ["2024-01-01T00:00:00+01:00"], "y": [1.0]})
    data = series_from_frame(frame, frequency=Frequency.parse("1h"))
    assert data.form.written(ahead(data)).to_list()[0] == "2024-01-01T01:00:00+01:00"
