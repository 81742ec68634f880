"""Numbers as spreadsheets write them: decimal commas and separators of thousands."""

import logging

import polars as pl
import pytest

from recurra.data.series.frame import series_from_frame
from recurra.data.series.future import continued_by_frame
from recurra.data.series.read import read_series
from recurra.data.series.series_set import Columns
from recurra.errors import DataError


def numbers(*y: str, decimal: str | None = None) -> list[float]:
    frame = pl.DataFrame({"ds": [f"2024-01-{day:02}" for day in range(1, len(y) + 1)], "y": y})
    return series_from_frame(frame, Columns(decimal=decimal)).series[0].y.tolist()


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_table_with_decimal_commas_is_recognised_and_said_once(tmp_path, caplog, delimiter):
    path = tmp_path / "sales.csv"
    path.write_text(f"ds{delimiter}y\n2024-01-01{delimiter}1014,77\n2024-01-02{delimiter}1.036,5\n")
    with caplog.at_level(logging.INFO):
        assert read_series(path).series[0].y.tolist() == [1014.77, 1036.5]
    (message,) = caplog.messages
    assert "1014,77 are read with a decimal comma" in message


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (["1,5", "2", "-0,25"], [1.5, 2, -0.25]),
        (["1.234", "2,5", "3"], [1234, 2.5, 3]),
        (["1.234.567", "1.234", "7"], [1234567, 1234, 7]),
        (["1,234.5", "7", "12,345"], [1234.5, 7, 12345]),
        (["1\u00a0234,5", "2'345", "3 456"], [1234.5, 2345, 3456]),
        (["0,123", "1,234"], [0.123, 1.234]),
        (["1.234", "2.345"], [1.234, 2.345]),
        (["1,5e-3", "2,5E2"], [0.0015, 250]),
    ],
)
def test_the_mark_that_all_numbers_agree_with_is_taken(written, read):
    assert numbers(*written) == pytest.approx(read)


def test_numbers_that_fit_both_marks_are_refused_until_one_is_named():
    with pytest.raises(DataError, match=r"1,234 may have a decimal comma or .*--decimal"):
        numbers("1,234", "2")
    assert numbers("1,234", "2", decimal=",") == [1.234, 2]
    assert numbers("1,234", "2", decimal=".") == [1234, 2]


def test_a_named_mark_is_kept_to():
    assert numbers("1.234", "2", decimal=",") == [1234, 2]
    with pytest.raises(DataError, match=r"row 1: y is '2\.5', .*decimal comma"):
        numbers("1", "2.5", decimal=",")


def test_a_point_that_may_separate_thousands_is_said(tmp_path, caplog):
    path = tmp_path / "sales.csv"
    path.write_text("ds;y\n2024-01-01;1.014\n2024-01-02;1.036\n")
    with caplog.at_level(logging.INFO):
        assert read_series(path).series[0].y.tolist() == [1.014, 1.036]
    assert "--decimal ," in caplog.messages[0]


def test_later_observations_are_read_with_the_mark_that_was_named():
    first = pl.DataFrame({"ds": ["2024-01-01", "2024-01-02"], "y": ["1,234", "2"]})
    data = series_from_frame(first, Columns(decimal=","))
    longer = continued_by_frame(data, pl.DataFrame({"ds": ["2024-01-03"], "y": ["3,456"]}))
    assert longer.series[0].y.tolist() == [1.234, 2, 3.456]
