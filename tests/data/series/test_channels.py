from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.series.channels import ChannelColumns, channels_from_arrays, read_channels
from recurra.errors import DataError, ParameterError


def test_a_file_of_sensors(tmp_path):
    path = tmp_path / "valve.csv"
    lines = [f"2024-03-01 0{k}:00:00;{k},5;{k},25;open;{int(k > 4)}.0" for k in range(8)]
    path.write_text("\n".join(["datetime;flow;pressure;valve;anomaly", *lines]), encoding="utf-8")
    data = read_channels(path)
    assert data.channels == ("flow", "pressure")
    assert data.columns.time == "datetime"
    assert data.step_seconds == 3600
    (series,) = data
    assert series.values[:2].tolist() == [[0.5, 0.25], [1.5, 1.25]]
    assert series.labels is not None
    assert np.flatnonzero(series.labels).tolist() == [5, 6, 7]
    again = read_channels(path, data.columns)
    assert again.digest() == data.digest()


def test_rows_without_times_are_counted():
    data = read_channels(pl.DataFrame({"a": [1.0, 2.0, 3.0], "b": [1, None, 3]}))
    (series,) = data
    assert series.stamps.tolist() == [0, 1, 2]
    assert np.isnan(series.values).tolist() == [[False, False], [False, True], [False, False]]
    assert data.step_seconds is None
    assert series.labels is None


@given(st.permutations(range(8)))
def test_rows_are_sorted_by_series_and_stamp(order):
    frame = pl.DataFrame(
        {
            "unique_id": [("a", "b")[k % 2] for k in order],
            "ds": [f"2024-01-{k // 2 + 1:02}" for k in order],
            "y": [float(k) for k in order],
            "bad": [k == 3 for k in order],
        }
    )
    data = read_channels(frame, ChannelColumns(label="bad"))
    by_id = {one.id: one for one in data}
    assert by_id["a"].values[:, 0].tolist() == [0, 2, 4, 6]
    assert by_id["b"].values[:, 0].tolist() == [1, 3, 5, 7]
    assert np.array_equal(np.asarray(by_id["b"].labels), [False, True, False, False])


def test_gaps_are_said():
    stamps = pd.date_range("2024-01-01", periods=10, freq="5min").delete([4, 5, 6])
    data = read_channels(pd.DataFrame({"timestamp": stamps, "value": range(7)}))
    assert data.step_seconds == 300
    assert data.describe_time() == "a row every 5 minutes, 1 gap, the longest of 20 minutes"


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (["0", "1", "1", "0"], [1, 2]),
        (["False", "TRUE", " true", ""], [1, 2]),
        ([0, 1, 1, None], [1, 2]),
        ([False, True, True, False], [1, 2]),
    ],
)
def test_labels_in_every_form(column, expected):
    frame = pl.DataFrame({"value": [1.0] * 4, "state": pl.Series(column)})
    data = read_channels(frame, ChannelColumns(label="state"))
    assert data.channels == ("value",)
    assert np.array_equal(np.asarray(data.series[0].labels), [row in expected for row in range(4)])


@pytest.mark.parametrize(
    ("frame", "columns", "words"),
    [
        ({"a": ["x", "y"]}, {}, ("no column of numbers", "'a'", "--channels")),
        ({"a": [1.0, 2.0]}, {"channels": ("b",)}, ("no column 'b'", "'a'")),
        ({"a": [1.0, 2.0]}, {"time": "when"}, ("no column 'when'", "'a'")),
        ({"a": [1.0, 2.0], "l": ["0", "maybe"]}, {"label": "l"}, ("row 1", "'maybe'", "0 or 1")),
        ({"time": ["2024-01-01", "2024-01-01"], "a": [1.0, 2.0]}, {}, ("row 1", "2024-01-01", "already")),
        ({"a": [1.0, 2.0], "b": ["1", "two"]}, {"channels": ("a", "b")}, ("row 1", "'two'", "number")),
        ({"a": ["1", "2", "bad"]}, {}, ("row 2", "'bad'", "--ignore a")),
        ({"a": ["1", "2", "inf"]}, {}, ("row 2", "infinite")),
        ({"time": [0.0, 0.5], "a": [1.0, 2.0]}, {}, ("row 1", "0.5", "--ignore time")),
        ({"a": pl.Series([], dtype=pl.Float64)}, {}, ("no rows",)),
    ],
)
def test_faults_name_row_and_column(frame, columns, words):
    with pytest.raises(DataError) as caught:
        read_channels(pl.DataFrame(frame), ChannelColumns(**columns))
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize("role", [{"label": "a"}, {"ignore": ("a",)}])
def test_a_column_has_one_role(role):
    with pytest.raises(ParameterError, match=f"{next(iter(role))}: .*'a'"):
        read_channels(pl.DataFrame({"a": [1.0]}), ChannelColumns(channels=("a",), **role))


def test_what_is_left_out_or_taken_for_a_channel_is_said(caplog):
    frame = pl.DataFrame({"a": [1.0, 2.0], "label": ["good", "bad"], "state": ["on", "off"], "step": [3, 4]})
    data = read_channels(frame, ChannelColumns(ignore=("b",)))
    assert data.channels == ("a", "step")
    for words in (
        "'label' is not taken for labels, as it holds 'good'",
        "no numbers: 'label', 'state'",
        "no column 'b'",
    ):
        assert words in caplog.text
    caplog.clear()
    assert read_channels(frame, data.columns).channels == data.channels
    assert not caplog.text


@pytest.mark.parametrize("column", [[0, 1], ["0", "1.0"], ["False", "true"], [False, True]])
def test_a_column_of_labels_is_recognised(column):
    data = read_channels(pl.DataFrame({"a": [1.0, 2.0], "Label": pl.Series(column)}))
    assert data.channels == ("a",)
    assert np.array_equal(np.asarray(data.series[0].labels), [False, True])


def test_labels_may_be_missing_from_rows_to_score():
    columns = read_channels(pl.DataFrame({"a": [1.0, 2.0], "bad": [0, 1]}), ChannelColumns(label="bad")).columns
    data = read_channels(pl.DataFrame({"a": [1.0, 2.0]}), columns)
    assert data.series[0].labels is None
    assert data.columns.label == "bad"


def test_a_column_that_is_ignored_is_not_the_time():
    data = read_channels(pl.DataFrame({"time": [0.0, 0.5], "a": [1.0, 2.0]}), ChannelColumns(ignore=("time",)))
    assert data.columns.time is None
    assert data.channels == ("a",)


@pytest.mark.parametrize(
    ("make", "shapes"),
    [
        (lambda: np.zeros(5), [(5, 1)]),
        (lambda: [1.0, 2.0, 3.0], [(3, 1)]),
        (lambda: np.zeros((5, 3)), [(5, 3)]),
        (lambda: [np.zeros((5, 3)), np.zeros((4, 3))], [(5, 3), (4, 3)]),
    ],
)
def test_arrays(make: Callable[[], Any], shapes):
    data = channels_from_arrays(make())
    assert [one.values.shape for one in data] == shapes
    assert len(data.channels) == shapes[0][1]


def test_arrays_that_do_not_fit():
    with pytest.raises(DataError, match="as many channels"):
        channels_from_arrays([np.zeros((5, 3)), np.zeros((4, 2))])
    with pytest.raises(DataError, match="finite"):
        channels_from_arrays(np.array([1.0, np.inf]))
    with pytest.raises(DataError, match="5 labels"):
        channels_from_arrays(np.zeros(5), labels=[0, 1])
