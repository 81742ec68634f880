import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.series.frame import series_from_frame
from recurra.data.series.frequency import Frequency
from recurra.data.series.series_set import Columns
from recurra.data.series.table import Source
from recurra.errors import DataError, ParameterError

DAYS = ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04"]


def frame(**columns: object) -> pl.DataFrame:
    return pl.DataFrame({"ds": DAYS, "y": [1.0, 2.0, 3.0, 4.0], **columns}, strict=False)


def test_a_long_frame_becomes_series_in_order_of_appearance():
    found = series_from_frame(pl.DataFrame({"unique_id": ["b", "b", "a", "a"], "ds": DAYS[:2] * 2, "y": [1, 2, 3, 4]}))
    assert found.ids == ("b", "a")
    assert str(found.frequency) == "1d"
    assert found.source == "frame"
    assert found["a"].start == np.datetime64("2024-01-01")
    assert found["a"].y.tolist() == [3, 4]
    assert found["a"].y.dtype == np.float64


@given(st.permutations(range(6)), st.sets(st.integers(0, 5), min_size=1))
def test_rows_in_any_order_and_with_gaps_land_on_the_grid(order, kept):
    rows = [row for row in order if row in kept]
    days = np.datetime64("2024-02-27", "us") + np.arange(6) * np.timedelta64(1, "D")
    day = Frequency.parse("1d")
    found = series_from_frame(pl.DataFrame({"ds": days[rows], "y": rows}), frequency=day).series[0]
    first, last = min(kept), max(kept)
    expected = [float(row) if row in kept else np.nan for row in range(first, last + 1)]
    np.testing.assert_array_equal(found.y, expected)
    assert found.start == days[first]


def test_covariates_future_rows_and_static_values():
    columns = Columns(past=("p",), known=("k",), static=("size", "kind"))
    found = series_from_frame(
        pl.DataFrame(
            {
                "unique_id": ["a"] * 5 + ["b"] * 2,
                "ds": [1, 2, 4, 5, 6, 1, 2],
                "y": [None, 2.0, 4.0, None, None, 1.0, 2.0],
                "p": [1, 2, 4, None, None, 1, 2],
                "k": [True, False, True, True, None, False, True],
                "size": [3] * 5 + [4] * 2,
                "kind": ["x"] * 5 + ["y"] * 2,
            }
        ),
        columns,
    )
    a, b = found
    assert a.start == 2
    assert isinstance(a.start, int)
    np.testing.assert_array_equal(a.y, [2, np.nan, 4])
    np.testing.assert_array_equal(a.past, [[2], [np.nan], [4]])
    np.testing.assert_array_equal(a.known, [[0], [np.nan], [1], [1]])
    assert a.future_rows == 1
    assert b.future_rows == 0
    assert a.static == (3.0, "x")
    assert b.static == (4.0, "y")


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("2024-01-31", "2024-02-01", "2024-01-31"),
        ("2024-1-31", "2024-2-1", "2024-01-31"),
        ("2024/01/31", "2024/02/01", "2024-01-31"),
        ("20240131", "20240201", "2024-01-31"),
        ("1949-01", "1949-02", "1949-01-01"),
        ("2024-01-31 05:00", "2024-01-31 06:00", "2024-01-31T05:00"),
        ("2024-01-31T05:00:30", "2024-01-31T05:00:31", "2024-01-31T05:00:30"),
        ("2024-01-31 00:00", "2024-02-01", "2024-01-31"),
        ("2024-01-31 05:00:00.25", "2024-01-31 05:00:00.5", "2024-01-31T05:00:00.25"),
        ("2024-01-31T05:00:00Z", "2024-01-31T06:00:00Z", "2024-01-31T05:00"),
        ("2024Q3", "2024-q4", "2024-07-01"),
        ("2024-01-31 05:00 UTC", "2024-01-31 06:00 UTC", "2024-01-31T05:00"),
        ("2024-01-31 05:00+02:00", "2024-01-31 06:00+02:00", "2024-01-31T03:00"),
        (dt.date(2024, 1, 31), dt.date(2024, 2, 1), "2024-01-31"),
        (dt.datetime(2024, 1, 31, 5), dt.datetime(2024, 2, 1, 5), "2024-01-31T05:00"),
        (20240131, 20240201, "2024-01-31"),
    ],
)
def test_stamps_are_read(first, second, expected):
    found = series_from_frame(pl.DataFrame({"ds": [first, second], "y": [1, 2]})).series[0]
    assert found.start == np.datetime64(expected)
    assert len(found) == 2


def test_zoned_times_are_taken_in_utc():
    ds = pl.datetime_range(
        dt.datetime(2024, 10, 27), dt.datetime(2024, 10, 28), "1h", time_zone="Europe/Berlin", eager=True
    )
    found = series_from_frame(pl.DataFrame({"ds": ds, "y": np.arange(len(ds))}))
    assert found.series[0].start == np.datetime64("2024-10-26T22:00")
    assert not np.isnan(found.series[0].y).any()


@pytest.mark.parametrize("ds", [[1990, 1991, 1992], ["1990", "1991", "1992"]])
def test_integers_are_positions_unless_the_frequency_counts_months(ds):
    table = pl.DataFrame({"ds": ds, "y": [1, 2, 3]})
    positions = series_from_frame(table)
    assert str(positions.frequency) == "step"
    assert positions.series[0].start == 1990
    years = series_from_frame(table, frequency=Frequency.parse("1y"))
    assert years.series[0].start == np.datetime64("1990-01-01")
    hours = series_from_frame(table, frequency=Frequency.parse("1h"))
    assert str(hours.frequency) == "step(24,168)"


def test_year_and_month_in_one_integer():
    table = pl.DataFrame({"ds": [202312, 202401], "y": [1, 2]})
    found = series_from_frame(table).series[0]
    assert found.start == np.datetime64("2023-12-01")
    assert len(found) == 2
    positions = series_from_frame(table, frequency=Frequency.parse("step")).series[0]
    assert positions.start == 202312


@pytest.mark.parametrize("dtype", ["object", "str", "category"])
def test_pandas(dtype):
    table = pd.DataFrame({"unique_id": ["a", "a"], "ds": DAYS[:2], "y": pd.array([1, None], dtype="Int64")})
    table = pd.concat([table, pd.DataFrame({"unique_id": ["a"], "ds": [DAYS[2]], "y": [3]})])
    table["unique_id"] = table["unique_id"].astype(dtype)
    found = series_from_frame(table)
    assert found.ids == ("a",)
    np.testing.assert_array_equal(found["a"].y, [1, np.nan, 3])


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_a_pandas_datetime_index_holds_the_stamps(zone):
    index = pd.date_range("2024-03-30", periods=5, freq="D", tz=zone)
    found = series_from_frame(pd.DataFrame({"y": range(5)}, index=index), frequency=Frequency.parse("1h"))
    assert found.ids == ("series",)
    assert found.series[0].start == np.datetime64("2024-03-29T23:00" if zone else "2024-03-30T00:00")
    # The night of 31 March has 23 hours.
    assert np.flatnonzero(~np.isnan(found.series[0].y))[:3].tolist() == ([0, 24, 47] if zone else [0, 24, 48])


def test_missing_values_in_text_and_blank_rows():
    found = series_from_frame(
        pl.DataFrame(
            {
                "ds": [*DAYS, None, "2024-01-05", "2024-01-06"],
                "y": ["1", "NA", "nan", " ", None, "null", "1e3"],
            }
        )
    )
    np.testing.assert_array_equal(found.series[0].y, [1, *[np.nan] * 4, 1000])


ROLES = Columns(past=("p",), known=("k",), static=("s",))


@pytest.mark.parametrize(
    ("table", "columns", "message"),
    [
        (frame().clear(), None, r"^frame: no rows"),
        (pl.DataFrame(), None, r"^frame: no column 'ds'; there are none"),
        (
            frame().rename({"y": "Y"}),
            None,
            r"no column 'y'; there are 'ds', 'Y'\. Did you mean 'Y'\?.*--target-column",
        ),
        (frame(), Columns(time="when"), r"no column 'when'.*--time-column"),
        (frame(), Columns(id="store"), r"no column 'store'.*--id-column"),
        (frame(p1=0), Columns(past=("p",)), r"no column 'p'; there are 'ds', 'y', 'p1'"),
        (
            frame(ds=[*DAYS[:3], "soon"]),
            None,
            r"^frame, row 3: .* 'soon', .* stamp\. Write ISO",
        ),
        (frame(ds=["01/02/2024"] * 4), None, r"01/02/2024 may begin with .*--date-format"),
        (frame(ds=["1/2/24"] * 4), None, r"row 0: .* '1/2/24', .* stamp"),
        (frame(ds=[DAYS[0], None, *DAYS[2:]]), None, r"row 1: ds \(the stamp\) is missing"),
        (frame(ds=[1.0, 2.0, 3.5, 4.0]), None, r"row 2: ds is 3\.5, expected a stamp"),
        (frame(ds=[True] * 4), None, r"row 0: ds is True, expected a stamp"),
        (
            frame(ds=DAYS[:3] + DAYS[1:2], store="a"),
            None,
            r"row 3: the stamp 2024-01-02 is already at row 1\. .*several series.*--id-column.*'store'",
        ),
        (
            frame(unique_id="a", ds=DAYS[:3] + DAYS[1:2]),
            None,
            r"row 3 \(series 'a'\): the stamp 2024-01-02 is already at row 1\. Keep one",
        ),
        (frame(unique_id=["a", None, "a", "a"]), None, r"row 1: unique_id \(the series id\) is missing"),
        (frame(y=["1", "2", "x", "4"]), None, r"row 2: y is 'x', expected a number.*--target-column"),
        (frame(y=["1", "2", "3,5", "4.5"]), None, r"row 2: y is '3,5', .*decimal point"),
        (frame(y=[DAYS] * 4), None, r"row 0: .* List\(String\), expected a number"),
        (frame(y=[1.0, 2.0, np.inf, 4.0]), None, r"row 2: y is infinite"),
        (frame(y=["1", "2", "-inf", "4"]), None, r"row 2: y is infinite"),
        (frame(unique_id="a", y=None), None, r"series 'a': .* missing .* \(first: row 0\)"),
        (frame(p="mild", k=1, s=1), ROLES, r"row 0: p is 'mild', expected a number.*static column"),
        (frame(p=1, k=np.inf, s=1), ROLES, r"row 0: k is infinite"),
        (frame(p=1, k=1, s=[1, 1, 2, 1]), ROLES, r"row 2 \(series 'series'\): .*s varies.*1\.0, then 2\.0"),
        (frame(p=1, k=1, s=None), ROLES, r"row 0 \(series 'series'\): .* column .* missing"),
        (
            frame(ds=["2024-01-01 00:00", "2024-01-01 01:00", "2024-01-01 02:07", "2024-01-01 03:00"]),
            None,
            r"row 2 \(series 'series'\): the stamp 2024-01-01 02:07 .* grid .* 1h "
            r"\(inferred\) that starts at 2024-01-01 00:00\. .*resample.*--freq",
        ),
        (frame(ds=[0, 1, 2, 3_000_000]), None, r"row 3 .*a gap of 2999997 .* 2 to 3000000"),
        (frame()[:1], None, r"^frame: no series has two stamps.*--freq"),
        (pd.DataFrame([[1, 2]], columns=["y", "y"]), None, r"^frame: two columns have the same name"),
    ],
)
def test_a_faulty_frame_is_refused_in_one_line(table, columns, message):
    with pytest.raises(DataError, match=message) as caught:
        series_from_frame(table, columns)
    assert "\n" not in str(caught.value)


def test_a_typo_in_a_year_is_found():
    days = np.datetime64("2024-01-01", "us") + np.arange(24 * 7) * np.timedelta64(1, "h")
    days[100] = np.datetime64("2204-01-05T04:00")
    with pytest.raises(DataError, match=r"row 100 .* to 2204-01-05 04:00.*Correct the stamp"):
        series_from_frame(pl.DataFrame({"ds": days, "y": 1}))


def test_dates_are_no_steps():
    with pytest.raises(DataError, match="frequency step needs integers"):
        series_from_frame(frame(), frequency=Frequency.parse("step"))


def test_the_source_is_named_in_its_own_words():
    with pytest.raises(DataError, match=r"^data.csv, line 4: y is 'x'"):
        series_from_frame(frame(y=["1", "2", "x", "4"]), source=Source("data.csv", "line", 2))


@pytest.mark.parametrize("table", [None, [1, 2], pl.LazyFrame({"ds": [1], "y": [1]})])
def test_what_is_no_frame_is_refused(table):
    with pytest.raises(ParameterError, match=r"frame: expected .* DataFrame"):
        series_from_frame(table)


def test_integer_ids_are_known_as_such():
    data = series_from_frame(pl.DataFrame({"unique_id": [7, 7, 9, 9], "ds": DAYS[:2] * 2, "y": [1.0, 2, 3, 4]}))
    assert data.ids == ("7", "9")
    assert data.id_column(np.array([1, 0])).to_list() == [9, 7]


@pytest.mark.parametrize("index", [True, False])
def test_periods_of_pandas_are_their_first_moments(index):
    months = pd.period_range("2024-01", periods=3, freq="M", name="ds")
    table = pd.DataFrame({"y": [1.0, 2, 3]}, index=months)
    data = series_from_frame(table if index else table.reset_index())
    assert str(data.series[0].start) == "2024-01-01T00:00:00.000000"
    assert str(data.frequency) == "1mo"
