import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.series.frame import series_from_frame
from recurra.data.series.future import attach_future, continued_by_frame, future_rows_missing
from recurra.data.series.series_set import Columns, SeriesSet
from recurra.errors import DataError

COLUMNS = Columns(known=("k",))


def days(first: int, n: int) -> np.ndarray:
    return np.datetime64("2024-01-01", "us") + np.arange(first, first + n) * np.timedelta64(1, "D")


def history(future: int = 0) -> SeriesSet:
    y = np.concatenate([np.arange(4.0), np.full(future, np.nan)])
    n = len(y)
    table = pl.DataFrame({"unique_id": ["a"] * n + ["b"] * n, "ds": np.tile(days(0, n), 2), "y": np.tile(y, 2), "k": 0})
    return series_from_frame(table, COLUMNS)


def ahead(first: int, n: int, series_id: str = "a") -> pl.DataFrame:
    return pl.DataFrame({"unique_id": [series_id] * n, "ds": days(first, n), "k": np.arange(n) + 1})


@given(st.integers(1, 6), st.integers(0, 3))
def test_future_rows_are_appended_or_replaced(n, future):
    found = attach_future(history(future), ahead(4, n))
    assert found["a"].future_rows == max(n, future)
    assert found["a"].known[4 : 4 + n, 0].tolist() == list(range(1, n + 1))
    assert found["b"].future_rows == future
    assert future_rows_missing(found, 6) == [
        (series_id, have, 6) for series_id, have in (("a", max(n, future)), ("b", future)) if have < 6
    ]


def test_a_step_counts_if_all_before_it_are_complete():
    gap = ahead(4, 3)[[0, 2]]
    assert future_rows_missing(attach_future(history(), gap), 3) == [("a", 1, 3), ("b", 0, 3)]


def test_without_known_covariates_nothing_is_missing():
    found = series_from_frame(pl.DataFrame({"ds": [1, 2], "y": [1, 2]}))
    assert future_rows_missing(found, 5) == []


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            ahead(5, 2),
            r"f.csv, row 0 \(series 'a'\): the stamp 2024-01-06 .* 2024-01-05",
        ),
        (ahead(3, 2), r"row 0 \(series 'a'\): the stamp 2024-01-04 does not continue"),
        (ahead(4, 2, "c"), r"f.csv: series 'c' not in frame \(series 'a', 'b'\)"),
        (ahead(4, 2).drop("k"), r"f.csv: no column 'k'"),
        (ahead(4, 2).drop("unique_id"), r"f.csv: no column 'unique_id' .* 2 series"),
        (
            ahead(4, 2).with_columns(ds=pl.lit(5)).head(1),
            r"f.csv: the stamps are integers, .* dates",
        ),
        (
            ahead(4, 2).with_columns(ds=pl.col("ds") + pl.duration(hours=1)),
            r"row 0 .* 2024-01-05 01:00 .* grid .* 1d .* 2024-01-01",
        ),
        (ahead(4, 2).with_columns(k=pl.lit("hot")), r"row 0: k is 'hot', expected a number"),
    ],
)
def test_rows_that_do_not_fit_are_refused(table, message):
    with pytest.raises(DataError, match=message):
        attach_future(history(), table, "f.csv")


def test_one_series_needs_no_id_in_the_future_either():
    one = history().select(["b"])
    assert attach_future(one, ahead(4, 2).drop("unique_id"))["b"].future_rows == 2


def test_what_followed_continues_each_series():
    table = pl.concat([ahead(4, 3), ahead(4, 1, "b")]).with_columns(y=pl.col("k") * 10)
    found = continued_by_frame(history(future=2), table)
    assert found["a"].y.tolist() == [0, 1, 2, 3, 10, 20, 30]
    assert found["a"].known[:, 0].tolist() == [0, 0, 0, 0, 1, 2, 3]
    assert found["b"].y.tolist() == [0, 1, 2, 3, 10]
    assert found["b"].future_rows == 1


def test_a_continuation_may_begin_missing():
    table = pl.concat([ahead(4, 2), ahead(4, 2, "b")]).with_columns(y=pl.Series([None, 5, None, None]))
    found = continued_by_frame(history(), table)
    np.testing.assert_array_equal(found["a"].y, [0, 1, 2, 3, np.nan, 5])
    assert len(found["b"]) == 4


def test_a_continuation_must_be_complete_and_follow_on():
    table = ahead(4, 2).with_columns(y=1)
    with pytest.raises(DataError, match="no rows that continue series 'b'"):
        continued_by_frame(history(), table)
    later = pl.concat([ahead(5, 1), ahead(4, 1, "b")]).with_columns(y=1)
    with pytest.raises(DataError, match=r"row 0 \(series 'a'\).*does not continue"):
        continued_by_frame(history(future=3), later)
