import logging
from pathlib import Path

import numpy as np
import pytest

from recurra.data.series.frequency import Frequency
from recurra.data.series.read import read_series
from recurra.data.series.series_set import SeriesSet
from recurra.data.series.tsf import series_from_tsf
from recurra.errors import DataError

TSF = """# A comment
@relation demo
@attribute series_name string
@attribute state string
@attribute start_timestamp date
@frequency half_hourly
@horizon 4
@missing true
@equallength false
@data
T1:NSW:2002-01-01 00-30-00:5714.0,?,5360.6
T2:VIC:2002-01-01 00-00-00:?,3535.8
"""


def read(text: str, frequency: Frequency | None = None) -> SeriesSet:
    return series_from_tsf(text, frequency, "demo.tsf")


def test_series_attributes_and_missing_values(tmp_path: Path):
    (tmp_path / "demo.tsf").write_text(TSF)
    found = read_series(tmp_path / "demo.tsf")
    assert found.ids == ("T1", "T2")
    assert str(found.frequency) == "30m"
    assert found.columns.static == ("state",)
    assert found["T1"].static == ("NSW",)
    assert found["T1"].start == np.datetime64("2002-01-01T00:30")
    np.testing.assert_array_equal(found["T1"].y, [5714.0, np.nan, 5360.6])
    assert found["T2"].start == np.datetime64("2002-01-01T00:30")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("4_seconds", "4s"),
        ("minutely", "1m"),
        ("10_minutes", "10m"),
        ("half_hourly", "30m"),
        ("hourly", "1h"),
        ("daily", "1d"),
        ("weekly", "1w"),
        ("monthly", "1mo"),
        ("quarterly", "1q"),
        ("yearly", "1y"),
    ],
)
def test_the_names_of_frequencies(name, expected):
    assert str(read(TSF.replace("half_hourly", name)).frequency) == expected


def test_a_stated_frequency_replaces_that_of_the_file_and_another_one_is_said(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    assert str(read(TSF.replace("half_hourly", "now_and_then"), Frequency.parse("1h")).frequency) == "1h"
    assert str(read(TSF, Frequency.parse("30m")).frequency) == "30m"
    assert not caplog.messages
    assert str(read(TSF, Frequency.parse("1h")).frequency) == "1h"
    assert caplog.messages == ["demo.tsf: the frequency is 1h as stated; the file's @frequency is 30m"]


def test_dates_without_a_frequency_are_not_used_and_this_is_said(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    assert read(TSF.replace("@frequency half_hourly\n", "")).frequency == Frequency.parse("step")
    assert caplog.messages == ["demo.tsf: without @frequency the dates are not used; --frequency states one"]


def test_the_horizon_is_that_of_the_file():
    assert read(TSF).horizon == 4
    assert read(TSF.replace("@horizon 4\n", "")).horizon is None


def test_without_start_timestamps_the_series_are_positions():
    text = "@attribute series_name string\n@attribute size numeric\n@frequency monthly\n@data\nT1:3:1,2\n"
    found = read(text)
    assert found["T1"].start == 0
    assert found["T1"].static == (3.0,)
    assert found.frequency == Frequency.parse("step(12)")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            TSF.replace("half_hourly", "fortnightly"),
            r"^demo.tsf, line 6: the @frequency 'fortnightly'.*--freq",
        ),
        (TSF.replace("half_hourly", "0_hours"), r"line 6: the @frequency '0_hours' is not known"),
        (TSF.replace("@horizon 4", "@horizon x"), r"line 7: the @horizon 'x', expected a whole number of at least 1"),
        (TSF.replace("@horizon 4", "@horizon 0"), r"line 7: the @horizon '0', expected"),
        (TSF.replace("T2:VIC:", "T2:"), r"line 12: \d parts between colons, expected 4"),
        (TSF.replace("3535.8", "x"), r"line 12: 'x', expected a finite number, or \?"),
        (TSF.replace("3535.8", "?"), r"line 12 \(series 'T2'\): all values are missing"),
        (TSF.replace("T2", "T1"), r"line 12: series 'T1' occurs twice"),
        (TSF.replace("2002-01-01 00-30-00", "1 May"), r"line 11: the start_timestamp '1 May'"),
        (TSF.replace("@data\n", ""), r"line 10: .* before @data"),
        (TSF.split("@data", maxsplit=1)[0], r"demo.tsf: no @data section"),
        (TSF.split("T1", maxsplit=1)[0], r"demo.tsf: no series after @data"),
        (TSF.replace("state string", "state text"), r"line 4: .*expected @attribute NAME"),
    ],
)
def test_a_faulty_file_is_refused(text, message):
    with pytest.raises(DataError, match=message):
        read(text)
