import gzip
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from recurra.data.labelled.series import LabelledSeries, read_labelled_series
from recurra.errors import DataError, ParameterError

LONG = """\
id,time,x,y,label
a,2,2,,up
b,1,5,50,down
a,1,1,10,up

a,3,NA,30,
b,0.5,4,true,down
"""


def write(path: Path, text: str) -> Path:
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def save(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def same(found: LabelledSeries, expected: list[Any]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found.series, expected, strict=True):
        assert one.dtype == np.float32
        np.testing.assert_array_equal(one, np.array(other, np.float32))


def test_a_long_table_in_the_order_of_its_times(tmp_path: Path):
    nan = np.nan
    for name in ("a.csv", "a.tsv.gz", "dos.csv", "a.parquet"):
        path = tmp_path / name
        if name == "a.parquet":
            pl.read_csv(LONG.replace("true", "1").encode(), null_values="NA").write_parquet(path)
        else:
            write(path, LONG.replace(",", "\t") if "tsv" in name else "\ufeff" + LONG.replace("\n", "\r\n"))
        found = read_labelled_series(path)
        same(found, [[[1, 10], [2, nan], [nan, 30]], [[4, 1], [5, 50]]])
        assert (found.channels, found.ids, found.labels) == (("x", "y"), ("a", "b"), (("up",), ("down",)))


def test_a_long_table_without_times_is_in_order(tmp_path: Path):
    # The first column is the index that pandas writes.
    path = write(tmp_path / "a.csv", ",case,v,kind\n0,7,3,1\n1,8,1,0\n2,7,2,1\n")
    found = read_labelled_series(path, id_column="case", label_column="kind")
    same(found, [[[3], [2]], [[1]]])
    assert (found.channels, found.ids, found.labels) == (("v",), ("7", "8"), (("1",), ("0",)))


@pytest.mark.parametrize(
    "times",
    [
        ("2024-01-02", "2024-01-10", "2024-02-01"),
        ("9", "10", "100"),
        ("-1", "0.5", "2e3"),
        ("1700000000000000001", "1700000000000000002", "1700000000000000003"),
        ("2024-01-02T05:00", "2024-01-02 05:01:00", "2024-01-03"),
    ],
)
def test_times_of_every_form_sort_as_times(tmp_path: Path, times: tuple[str, str, str]):
    text = "id,when,x,label\n" + "".join(f"a,{times[k]},{k},u\n" for k in (2, 0, 1))
    same(read_labelled_series(write(tmp_path / "a.csv", text), time_column="when"), [[[0], [1], [2]]])


def test_a_long_table_without_labels_or_with_several(tmp_path: Path):
    path = write(tmp_path / "a.csv", "id,x\na,1\nb,\n")
    found = read_labelled_series(path, needs_labels=False)
    assert found.labels is None
    same(found, [[[1]], [[np.nan]]])
    path = write(tmp_path / "b.csv", "id,x,label\na,1,u|v\nb,2,\n")
    assert read_labelled_series(path, label_separator="|").labels == (("u", "v"), ())
    assert read_labelled_series(path, needs_labels=False).labels is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LONG.replace("b,1,5,50,down", "b,1,5,50,up"), r"line 7 \(series 'b'\): label is 'down', but 'up' at line 3"),
        (LONG.replace("a,3", "a,2"), r"line 6 \(series 'a'\): time 2 is already at line 2. Keep one row"),
        (LONG.replace("a,3", ",3"), r"line 6: id \(the series id\) is missing"),
        (LONG.replace("a,3", "a,"), "line 6: time is missing"),
        (LONG.replace("a,3", "a,soon"), "line 6: .* 'soon', expected a finite number,"),
        (LONG.replace("a,2", "a,soon"), "line 2: .* 'soon', .* stamp.*--time-column"),
        (LONG.replace("50", "fifty"), "line 3: y is 'fifty', expected a number.*--label-column"),
        (LONG.replace("50", "inf"), "line 3: y is infinite"),
        (LONG.replace("50", "1e300"), r"series 'b': step 2 .* 'y' is 1e\+300, expected a finite"),
        (LONG.replace("down", ""), "series 'b': the label is missing"),
        (LONG.replace("id,", "ID,", 1), "no column 'id'; .*Did you mean 'ID'.*--id-column"),
        (LONG.replace(",label", ",labels"), "no column 'label'; .*Did you mean 'labels'.*--label-column"),
        ("id,time,label\na,1,u\n", "no columns beside 'id', 'time', 'label', expected channels"),
        ("id,x,label\n", "no rows, only columns"),
        ("id,x,x,label\na,1,2,u\n", "line 1: the column 'x' occurs twice"),
    ],
)
def test_bad_long_tables(tmp_path: Path, text: str, message: str):
    with pytest.raises(DataError, match=message) as error:
        read_labelled_series(write(tmp_path / "a.csv", text))
    assert str(tmp_path / "a.csv") in str(error.value)


def test_columns_and_kinds_that_are_not_there(tmp_path: Path):
    path = write(tmp_path / "a.csv", LONG)
    with pytest.raises(DataError, match=r"no column 'when'; .*--time-column"):
        read_labelled_series(path, time_column="when")
    with pytest.raises(ParameterError, match="three different columns"):
        read_labelled_series(path, time_column="id")
    with pytest.raises(ParameterError, match="kind: expected auto, ts, arff, npz, csv, ucr, got 'xls'"):
        read_labelled_series(path, "xls")
    with pytest.raises(ParameterError, match="label_separator"):
        read_labelled_series(path, label_separator="")
    copied = write(tmp_path / "a.dat", LONG)
    assert len(read_labelled_series(copied, "csv")) == 2
    with pytest.raises(DataError, match=r"expected .* .ts, "):
        read_labelled_series(copied)
    with pytest.raises(DataError, match="no such file"):
        read_labelled_series(tmp_path / "none.xyz")
    pl.DataFrame({"id": ["a"], "x": [1.0], "label": [["u"]]}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"label .* List\(String\), expected .* numbers"):
        read_labelled_series(tmp_path / "a.parquet")


X = np.arange(12.0).reshape(2, 3, 2)


def test_arrays(tmp_path: Path):
    path = tmp_path / "a.npz"
    found = read_labelled_series(save(path, X=X, y=[3, 5]))
    same(found, list(X))
    assert (found.labels, found.channels, found.ids) == ((("3",), ("5",)), ("1", "2"), ("1", "2"))
    same(read_labelled_series(save(path, X=X[:, :, 0], y=["a", "b"])), list(X[:, :, :1]))
    same(read_labelled_series(save(path, X=X, y=[3, 5], lengths=[3, 1])), [X[0], X[1, :1]])
    same(read_labelled_series(save(path, X=X[:, :, 0], y=[3, 5], lengths=[1, 2])), [X[0, :1, :1], X[1, :2, :1]])
    flat = X.reshape(6, 2).astype(np.int64)
    same(read_labelled_series(save(path, X=flat, y=[3, 5], lengths=[1, 5])), [flat[:1], flat[1:]])
    same(read_labelled_series(save(path, X=flat[:, 0], y=[3, 5], lengths=[1, 5])), [flat[:1, :1], flat[1:, :1]])
    assert read_labelled_series(save(path, X=X), needs_labels=False).labels is None


@pytest.mark.parametrize(
    ("y", "classes", "labels"),
    [
        ([True, False], None, (("true",), ("false",))),
        (["a ", "é"], None, (("a",), ("é",))),
        ([b"a", b"b"], None, (("a",), ("b",))),
        ([1, 0], ["no", "yes"], (("yes",), ("no",))),
        ([[0, 1, 1], [0, 0, 0]], None, (("1", "2"), ())),
        ([[True, False], [True, True]], ["u", "v"], (("u",), ("u", "v"))),
    ],
)
def test_labels_as_arrays(tmp_path: Path, y: list[Any], classes: list[str] | None, labels: Any):
    arrays = {"X": X, "y": y} if classes is None else {"X": X, "y": y, "classes": classes}
    assert read_labelled_series(save(tmp_path / "a.npz", **arrays)).labels == labels


RAGGED = np.array([np.zeros(2), np.zeros(3)], dtype=object)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X, "y": [0, 1]}, "no array 'X'; there are 'x', 'y'"),
        ({"X": X}, "no array 'y'; there are 'X'"),
        ({"X": RAGGED, "y": [0, 1]}, r"Save series .* X=np.concatenate\(series\)"),
        ({"X": X.astype(str), "y": [0, 1]}, "X is of type <U32, expected numbers"),
        ({"X": X[0, 0], "y": [0, 1]}, r"X .* \(2,\), expected \(N, T, C\) or \(N, T\)"),
        ({"X": X[:, :0], "y": [0, 1]}, r"X has the shape \(2, 0, 2\)"),
        ({"X": X, "y": [0, 1, 2]}, r"y has the shape \(3,\), expected \(2,\) or \(2, K\) for 2 series"),
        ({"X": X, "y": [0.5, 1]}, r"y is of type float64, expected integers.*y.astype\(int\)"),
        ({"X": X, "y": [[0], [1]]}, r"y is int64 \(2, 1\), expected \(N,\) for one label each"),
        ({"X": X, "y": [[0, 2], [1, 0]]}, r"y is int64 \(2, 2\), expected"),
        ({"X": X, "y": [[0, 1], [1, 0]], "classes": ["a"]}, r"classes are \('a',\), expected 2 different names"),
        ({"X": X, "y": [0, 2], "classes": ["a", "b"]}, "series 2: y is 2, expected the index, from 0, of one of"),
        ({"X": X, "y": [b"a", b"\xff"]}, "bytes that are not UTF-8"),
        ({"X": X, "y": [0, 1], "lengths": [1, 0]}, "series 2: .* 0, expected .* 1"),
        ({"X": X, "y": [0, 1], "lengths": [1, 4]}, r"series 2: .* 4, expected .* 3 .* X \(2,"),
        ({"X": X, "y": [0, 1], "lengths": [1, 1, 1]}, r"X .*for 3 .* 3"),
        ({"X": X, "y": [0, 1], "lengths": [1.0, 1.0]}, r"lengths is float64 \(2,\), expected integers"),
        ({"X": np.full((2, 3, 2), np.inf), "y": [0, 1]}, "series 1: step 1 of channel '1' is inf"),
        ({"X": X, "y": ["a", ""]}, "series 2: the label is missing"),
    ],
)
def test_bad_arrays(tmp_path: Path, arrays: dict[str, Any], message: str):
    with pytest.raises(DataError, match=message) as error:
        read_labelled_series(save(tmp_path / "a.npz", **arrays))
    assert str(tmp_path / "a.npz") in str(error.value)


def test_files_that_are_no_arrays(tmp_path: Path):
    path = write(tmp_path / "a.npz", "text")
    with pytest.raises(DataError, match=r"not an \.npz file"):
        read_labelled_series(path)
    data = save(path, X=X, y=[0, 1]).read_bytes()
    at = data.index(b"\x93NUMPY")
    path.write_bytes(data[:at] + bytes(40) + data[at + 40 :])
    with pytest.raises(DataError, match="cannot be read"):
        read_labelled_series(path)


def test_a_set_of_series_is_consistent():
    one = np.zeros((2, 1), dtype=np.float32)
    with pytest.raises(DataError, match="no series, expected at least one"):
        LabelledSeries((), None, ("1",), ())
    with pytest.raises(DataError, match="1 series and 2 labels"):
        LabelledSeries((one,), (("a",), ("b",)), ("1",), ("1",))
    with pytest.raises(DataError, match=r"series 'p': of shape \(2, 1\), expected \(T, 2\)"):
        LabelledSeries((one,), None, ("1", "2"), ("p",))


def test_the_digest_tells_sets_apart():
    one, two = np.array([[1], [np.nan]], np.float32), np.array([[1, np.nan]], np.float32)
    sets = [
        LabelledSeries((one,), None, ("1",), ("1",)),
        LabelledSeries((two,), None, ("1", "2"), ("1",)),
        LabelledSeries((one,), (("a",),), ("1",), ("1",)),
        LabelledSeries((one, one), None, ("1",), ("1", "2")),
        LabelledSeries((one + 1,), None, ("1",), ("1",)),
    ]
    assert len({found.digest() for found in sets}) == 5
    assert (
        sets[0].digest()
        == LabelledSeries((one * np.float32(-1) * np.float32(-1),), None, ("1",), ("1",), "other").digest()
    )


values = st.one_of(st.just(float("nan")), st.floats(width=32, allow_nan=False, allow_infinity=False))


@given(st.data(), st.integers(1, 3), st.sampled_from([".csv", ".npz"]))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, channels: int, ending: str
) -> None:
    shapes = st.tuples(st.integers(1, 5), st.just(channels))
    series = data.draw(st.lists(npst.arrays(np.float32, shapes, elements=values), min_size=1, max_size=4))
    labels = data.draw(st.lists(st.sampled_from(["a", "b,b"]), min_size=len(series), max_size=len(series)))
    path = tmp_path_factory.getbasetemp() / f"any{ending}"
    if ending == ".npz":
        save(path, X=np.concatenate(series), lengths=[len(one) for one in series], y=labels)
    else:
        rows = [
            {"time": t, "id": f"s{k}", "label": labels[k], **{f"c{c}": float(v) for c, v in enumerate(step)}}
            for k, one in enumerate(series)
            for t, step in enumerate(one)
        ]
        order = data.draw(st.permutations(range(len(rows))))
        pl.DataFrame([rows[k] for k in order]).write_csv(path)
        first = dict.fromkeys(int(rows[k]["id"][1:]) for k in order)
        series, labels = [series[k] for k in first], [labels[k] for k in first]
    found = read_labelled_series(path)
    assert found.labels == tuple((label,) for label in labels)
    for one, other in zip(series, found.series, strict=True):
        np.testing.assert_array_equal(one, other)
