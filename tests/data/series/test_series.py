import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.series.frequency import Frequency
from recurra.data.series.series_set import Columns, Series, SeriesSet, univariate
from recurra.errors import DataError, ParameterError

DAY = Frequency.parse("1d")


def make(series_id: str, length: int, future: int = 0) -> Series:
    y = np.arange(length, dtype=float)
    known = np.arange(length + future, dtype=float)[:, None]
    return Series(series_id, np.datetime64("2024-01-01", "us"), y, y[:, None], known, ())


def make_set(*lengths: int) -> SeriesSet:
    series = tuple(make(f"store{i}", length) for i, length in enumerate(lengths))
    return SeriesSet(series, DAY, Columns(past=("p",), known=("k",)), "data.csv")


def test_a_set_is_a_collection_by_id():
    found = make_set(3, 5)
    assert len(found) == 2
    assert [series.id for series in found] == ["store0", "store1"] == list(found.ids)
    assert found["store1"] is found.series[1]
    assert "store0" in found
    assert found.lengths.tolist() == [3, 5]
    assert found.stamps(found["store0"], 1)[-1] == np.datetime64("2024-01-04")


def test_an_unknown_id_is_refused():
    with pytest.raises(DataError, match=r"data.csv: .* 'store9' .* 2; did you mean 'store"):
        make_set(3, 3).select(["store0", "store9"])


@given(st.lists(st.integers(1, 8), min_size=1, max_size=5), st.integers(0, 9))
def test_until_drops_targets_and_keeps_what_is_known(lengths, drop):
    whole = make_set(*lengths)
    found = whole.until(drop)
    assert found.lengths.tolist() == [length - drop for length in lengths if length > drop]
    for series in found:
        assert series.future_rows == drop
        np.testing.assert_array_equal(series.y, whole[series.id].y[: len(series)])
        assert len(series.past) == len(series)
        np.testing.assert_array_equal(series.known, whole[series.id].known)


def test_until_refuses_a_negative_number():
    with pytest.raises(ParameterError, match="drop"):
        make_set(3).until(-1)


def test_select_keeps_the_order_asked_for():
    assert make_set(1, 2, 3).select(["store2", "store0"]).ids == ("store2", "store0")


def test_a_column_has_one_role():
    with pytest.raises(ParameterError, match="got 'temp'"):
        Columns(past=("temp",), known=("temp",))


def test_missing_ends_are_cut_and_the_start_moves():
    found = univariate("a", np.datetime64("2024-01-31", "us"), np.array([np.nan, 1, np.nan, 2, np.nan]), DAY)
    assert found is not None
    assert found.start == np.datetime64("2024-02-01")
    np.testing.assert_array_equal(found.y, [1, np.nan, 2])
    assert found.past.shape == found.known.shape == (3, 0)
    assert univariate("a", 0, np.full(3, np.nan), Frequency.parse("step")) is None
