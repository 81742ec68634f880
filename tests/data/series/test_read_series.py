import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import covering
from recurra.data.series.frequency import Frequency
from recurra.data.series.read import attach_future_file, continuation, read_frame, read_series
from recurra.data.series.series_set import Columns
from recurra.errors import DataError

LONG = "unique_id,ds,y\na,2024-01-01,1\na,2024-01-02,2\nb,2024-01-01,3\nb,2024-01-02,4\n"


def write(folder: Path, text: str, name: str = "data.csv") -> Path:
    path = folder / name
    data = text.encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


@covering.parametrize(
    {
        "name": ["data.csv", "data.csv.gz", "DATA.CSV"],
        "delimiter": [",", ";", "\t"],
        "newline": ["\n", "\r\n", "\r"],
    }
)
def test_a_long_file_is_read_whatever_its_delimiter(tmp_path, name, delimiter, newline):
    path = write(tmp_path, "\ufeff" + LONG.replace(",", delimiter).replace("\n", newline), name)
    found = read_series(path)
    assert found.source == str(path)
    assert found.ids == ("a", "b")
    assert found["b"].y.tolist() == [3, 4]
    assert str(found.frequency) == "1d"


def test_tabs(tmp_path):
    assert read_series(write(tmp_path, LONG.replace(",", "\t"), "data.tsv")).ids == ("a", "b")


def test_parquet(tmp_path):
    path = tmp_path / "data.parquet"
    pl.DataFrame({"ds": [1, 2], "y": [1.5, None]}).write_parquet(path)
    assert read_series(path).series[0].y.tolist() == [1.5]
    pl.DataFrame({"ds": [1, 2], "y": ["1", "x"]}).write_parquet(path)
    with pytest.raises(DataError, match=r"data.parquet, row 1: y is 'x'"):
        read_series(path)


def test_ids_stay_text_and_static_numbers_become_numbers(tmp_path):
    text = "unique_id,ds,y,size,kind\n007,1,1,3,x\n007,2,,3,x\n007,3,5,3,x\n"
    found = read_series(write(tmp_path, text), Columns(static=("size", "kind"))).series[0]
    assert found.id == "007"
    assert found.static == (3.0, "x")
    np.testing.assert_array_equal(found.y, [1, np.nan, 5])


def test_blank_lines_are_skipped_and_counted(tmp_path):
    assert read_series(write(tmp_path, LONG.replace("b,", "\nb,", 1) + "\n ,,\n\n")).ids == ("a", "b")
    with pytest.raises(DataError, match=r"data.csv, line 6: y is 'x'"):
        read_series(write(tmp_path, LONG.replace("b,", "\nb,", 1).replace(",4", ",x")))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"data.csv: the file is empty"),
        ("\n \n", r"data.csv: the file is empty"),
        ("unique_id,ds,y\n", r"data.csv: no rows, only columns"),
        ("unique_id,ds,y\n,,\n", r"data.csv: all rows are empty"),
        (LONG.replace(",2\n", ",two\n"), r"data.csv, line 3: y is 'two', expected a number"),
        (LONG.replace(",", ";").replace(";2\n", ";2,5\n") + "b;2024-01-03;2.5", r"line 3: y is '2,5', .*decimal point"),
        (LONG.replace(",2\n", ",2,5\n"), r"data.csv, line 3: 4 cells, expected 3 .*decimal comma"),
        (LONG.replace("unique_id", "y"), r"data.csv, line 1: the column 'y' occurs twice"),
        (
            LONG.replace("ds", "date"),
            r"data.csv: no column 'ds'; there are 'unique_id', 'date', 'y'.*--time-column",
        ),
        (LONG.replace("b,2024-01-02", "b,2024-01-01"), r"line 5 \(series 'b'\): .* is already at line 4"),
        (LONG.replace(",2\n", ',"2\n'), r"data.csv, line 3: a quote .* closed"),
        ("\n" + LONG, r"data.csv, line 1: blank, expected the column names"),
        ("PK\0\1junk", r"data.csv: the file is binary"),
    ],
)
def test_a_faulty_file_is_refused_in_one_line(tmp_path, text, message):
    with pytest.raises(DataError, match=message) as caught:
        read_series(write(tmp_path, text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (LONG.replace("b", "ü").encode("latin-1"), r"data.csv, line 4: the text is not UTF-8"),
        (LONG.encode("utf-16"), r"data.csv: the text is UTF-16"),
    ],
)
def test_other_encodings_are_refused(tmp_path, data, message):
    (tmp_path / "data.csv").write_bytes(data)
    with pytest.raises(DataError, match=message):
        read_series(tmp_path / "data.csv")


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match=r"none.csv: no such file"):
        read_series(tmp_path / "none.csv")
    with pytest.raises(DataError, match=r"not a file but a folder"):
        read_series(tmp_path)
    (tmp_path / "data.xlsx").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"data.xlsx: the file type is not supported, .*\.parquet"):
        read_series(tmp_path / "data.xlsx")
    (tmp_path / "data.csv.gz").write_bytes(b"not gzip")
    with pytest.raises(DataError, match=r"data.csv.gz: cannot be read"):
        read_series(tmp_path / "data.csv.gz")
    (tmp_path / "data.parquet").write_bytes(b"not parquet")
    with pytest.raises(DataError, match=r"data.parquet: not a parquet file"):
        read_series(tmp_path / "data.parquet")
    with pytest.raises(DataError, match=r"data.tsf: the file type is not supported"):
        read_frame(write(tmp_path, "@data", "data.tsf"))


def test_blank_columns_at_the_right_are_ignored(tmp_path):
    assert read_series(write(tmp_path, LONG.replace("\n", ",,\n"))).ids == ("a", "b")


def test_a_frame_of_text(tmp_path):
    found = read_frame(write(tmp_path, LONG))
    assert found.columns == ["unique_id", "ds", "y"]
    assert set(found.dtypes) == {pl.String}


def test_the_future_from_a_file(tmp_path):
    past = read_series(write(tmp_path, "ds,y,k\n2024-01-01,1,1\n2024-01-02,2,2\n"), Columns(known=("k",)))
    found = attach_future_file(past, write(tmp_path, "ds,k\n2024-01-03,3\n", "future.csv"))
    assert found.series[0].known[:, 0].tolist() == [1, 2, 3]
    with pytest.raises(DataError, match=r"future.csv, line 2 .*does not continue"):
        attach_future_file(past, write(tmp_path, "ds,k\n2024-01-04,3\n", "future.csv"))


def test_a_long_continuation(tmp_path):
    past = read_series(write(tmp_path, LONG))
    text = "unique_id,ds,y\nb,2024-01-03,6\na,2024-01-03,5\n"
    found = continuation(past, write(tmp_path, text, "test.csv"))
    assert found["a"].y.tolist() == [1, 2, 5]
    with pytest.raises(DataError, match=r"test.csv, line 2 \(series 'b'\)"):
        continuation(past, write(tmp_path, text.replace("b,2024-01-03", "b,2024-01-02"), "test.csv"))


def test_an_option_for_the_frequency_counts(tmp_path):
    path = write(tmp_path, "ds,y\n2024-01-01,1\n2024-01-03,2\n")
    assert len(read_series(path).series[0]) == 2
    assert len(read_series(path, frequency=Frequency.parse("1d")).series[0]) == 3


@pytest.mark.parametrize("delimiter", [";", "|", ","])
def test_excel_s_line_that_states_the_delimiter_is_read_and_counted(tmp_path, delimiter):
    text = f"sep={delimiter}\n" + LONG.replace(",", delimiter)
    assert read_series(write(tmp_path, text)).ids == ("a", "b")
    with pytest.raises(DataError, match=r"data.csv, line 4: y is 'x'"):
        read_series(write(tmp_path, text.replace(f"{delimiter}2\n", f"{delimiter}x\n")))
    with pytest.raises(DataError, match=r"data.csv, line 2: the column 'y' occurs twice"):
        read_series(write(tmp_path, text.replace("unique_id", "y")))
    with pytest.raises(DataError, match=r"data.csv, line 4: 4 cells, expected 3"):
        read_series(write(tmp_path, text.replace(f"{delimiter}2\n", f"{delimiter}2{delimiter}5\n")))
    rows = f"2024-01-01{delimiter}1.5\n2024-01-02{delimiter}2.5\n"
    data = read_series(write(tmp_path, f"sep={delimiter}\n{rows}"), Columns(header=False))
    assert data.series[0].y.tolist() == [1.5, 2.5]
