"""Tables of dates by series, and files without a header."""

import logging

import numpy as np
import polars as pl
import pytest

from recurra.data.series.frame import series_from_frame
from recurra.data.series.future import continued_by_frame
from recurra.data.series.read import continuation, read_series
from recurra.data.series.series_set import Columns
from recurra.errors import DataError

WIDE = "date,north,south\n2024-01-01,1.5,2\n2024-01-02,3,4\n2024-01-03,,5\n"
MATRIX = "1.5,2.5\n3.5,4.5\n5.5,6.5\n"


def written(tmp_path, text: str, name: str = "data.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_a_table_of_dates_by_series_is_several_series_and_said(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        data = read_series(written(tmp_path, WIDE))
    assert data.ids == ("north", "south")
    assert [series.y.tolist() for series in data] == [[1.5, 3], [2, 4, 5]]
    assert data.columns == Columns(time="date")
    assert any("a table of dates by 2 series; --target-column" in message for message in caplog.messages)


def test_one_column_of_such_a_table_is_named_as_the_target(tmp_path):
    data = read_series(written(tmp_path, WIDE), Columns(target="south"))
    assert data.series[0].y.tolist() == [2, 4, 5]
    assert data.columns.time == "date"


@pytest.mark.parametrize(("target", "hint"), [("nort", "Did you mean 'north'"), ("zz", "'north', 'south'")])
def test_a_target_that_is_no_column_of_such_a_table_is_named(tmp_path, target, hint):
    with pytest.raises(DataError, match=rf"no column '{target}'.*{hint}.*--target-column"):
        read_series(written(tmp_path, WIDE), Columns(target=target))


def test_a_table_without_stamps_is_refused_with_the_way_out(tmp_path):
    with pytest.raises(DataError, match=r"no column 'ds'.*numbers them"):
        read_series(written(tmp_path, "a,b\n1,2\n3,4\n"))


def test_a_single_column_of_numbers_is_the_target(tmp_path):
    data = read_series(written(tmp_path, "date;sales\n2024-01-01;1,5\n2024-01-02;2\n"))
    assert data.columns == Columns(id=None, time="date", target="sales")
    assert data.series[0].y.tolist() == [1.5, 2]


def test_a_fault_is_at_its_line(tmp_path):
    with pytest.raises(DataError, match=r"line 4: date .* missing"):
        read_series(
            written(tmp_path, "date,a,b\n2024-01-01,1,2\n2024-01-02,3,4\n,5,6\n").rename(tmp_path / "x.csv"),
            Columns(time="date"),
        )


def test_a_table_with_text_is_not_one_of_dates_by_series(tmp_path):
    with pytest.raises(DataError, match=r"no column 'ds'; there are 'date', 'a', 'b'"):
        read_series(written(tmp_path, "date,a,b\n2024-01-01,1,high\n2024-01-02,2,low\n"))


def test_later_rows_continue_every_series(tmp_path):
    frame = pl.DataFrame({"ds": ["2024-01-01", "2024-01-02"], "a": [1, 2], "b": [3.5, 4]})
    data = series_from_frame(frame)
    longer = continued_by_frame(data, pl.DataFrame({"ds": ["2024-01-03"], "a": [5], "b": [6]}))
    assert [series.y.tolist() for series in longer] == [[1, 2, 5], [3.5, 4, 6]]


NAMED = {"id": "1", "time": "2", "target": "3"}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("a,2023-01-01,1.5\na,2023-01-02,2\nb,2023-01-01,3\n", {}),
        ("a,2023-01-01,1.5\na,2023-01-02,2\nb,2023-01-01,3\n", NAMED),
        ("a;1;1,5\na;2;2\nb;1;3\n", NAMED),
        ("2023-01-01\ta\t1.5\n2023-01-02\ta\t2\n2023-01-01\tb\t3\n", {}),
        ("2023-01-01\ta\t1.5\n2023-01-02\ta\t2\n2023-01-01\tb\t3\n", {"time": "1", "id": "2", "target": "3"}),
        ("1.5,a,2023-01-01\n2,a,2023-01-02\n3,b,2023-01-01\n", {"time": "3", "id": "2", "target": "1"}),
    ],
)
def test_a_long_table_without_a_header(tmp_path, text, named):
    path = written(tmp_path, text)
    data = read_series(path, Columns(header=False, **named))
    assert {series.id: series.y.tolist() for series in data} == {"a": [1.5, 2], "b": [3]}
    if "2023" in text and text[0] != "1":
        with pytest.raises(DataError, match="--no-header"):
            read_series(path)


@pytest.mark.parametrize(
    ("text", "header", "way_out"),
    [
        ("a,1,1.5\na,2,2\n", False, r"no column 'ds'; there are '1', '2', '3'\..*--time-column 2"),
        ("a,1,1.5\na,2,2\n", True, "--no-header"),
        ("a,2024-01-01,1.5,2\na,2024-01-02,2,3\n", False, r"there are 'unique_id', 'ds', '3', '4'.*--target-column"),
    ],
)
def test_columns_that_cannot_be_told_without_a_header(tmp_path, text, header, way_out):
    with pytest.raises(DataError, match=way_out):
        read_series(written(tmp_path, text), Columns(header=header))


def test_a_matrix_with_spaces_between_its_numbers(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    matrix = np.arange(6.0).reshape(3, 2) / 3
    np.savetxt(tmp_path / "data.txt", matrix)
    with pytest.raises(DataError, match="--no-header"):
        read_series(tmp_path / "data.txt")
    data = read_series(tmp_path / "data.txt", Columns(header=False))
    np.testing.assert_array_equal([series.y for series in data], matrix.T)
    assert any("spaces separate the columns" in message for message in caplog.messages)
    np.savetxt(tmp_path / "one.csv", matrix[:, 1])
    one = read_series(tmp_path / "one.csv", Columns(header=False))
    np.testing.assert_array_equal(one.series[0].y, matrix[:, 1])


def test_spaces_between_columns_with_names_and_dates_and_between_thousands(tmp_path):
    data = read_series(written(tmp_path, "ds         sales\n2024-01-01   5.5\n2024-01-02  12.0\n"))
    assert data.series[0].y.tolist() == [5.5, 12]
    thousands = read_series(written(tmp_path, "1 234\n2 345\n"), Columns(header=False))
    assert thousands.series[0].y.tolist() == [1234, 2345]


@pytest.mark.parametrize(
    "text", [MATRIX, "5\n6\n", "5,3,8\n1,2,3\n", "2024-01-01,5\n2024-01-02,6\n", "1,5;2,5\n3,5;4,5\n"]
)
def test_a_file_without_a_header_is_refused_with_the_way_out(tmp_path, text):
    with pytest.raises(DataError, match=r"line 1: .* are values, .*--no-header"):
        read_series(written(tmp_path, text))


def test_a_matrix_is_read_if_it_is_said_to_have_no_header(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    data = read_series(written(tmp_path, MATRIX, "data.txt"), Columns(header=False))
    assert data.ids == ("1", "2")
    assert any("a table of steps by 2 series" in message for message in caplog.messages)
    assert [series.y.tolist() for series in data] == [[1.5, 3.5, 5.5], [2.5, 4.5, 6.5]]
    one = read_series(tmp_path / "data.txt", Columns(header=False, target="2"))
    assert one.series[0].y.tolist() == [2.5, 4.5, 6.5]


def test_dates_and_values_without_a_header(tmp_path):
    columns = Columns(header=False)
    data = read_series(written(tmp_path, "2024-01-01,5\n2024-01-02,6\n"), columns)
    assert data.series[0].y.tolist() == [5, 6]
    assert str(data.frequency) == "1d"
    longer = continuation(data, written(tmp_path, "2024-01-03,7\n", "later.csv"))
    assert longer.series[0].y.tolist() == [5, 6, 7]
    with pytest.raises(DataError, match=r"line 2: y is 'x'"):
        read_series(written(tmp_path, "2024-01-01,5\n2024-01-02,x\n"), columns)
