import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.series.frequency import Frequency
from recurra.errors import DataError, ParameterError


def stamps(*texts: str) -> np.ndarray:
    return np.array(texts, dtype="M8[us]")


@pytest.mark.parametrize(
    ("text", "canonical", "seasons"),
    [
        ("100ms", "100ms", (600, 36000)),
        ("S", "1s", (60, 3600)),
        ("1m", "1m", (1440, 10080)),
        ("min", "1m", (1440, 10080)),
        ("5T", "5m", (288, 2016)),
        ("10min", "10m", (144, 1008)),
        ("15m", "15m", (96, 672)),
        ("30m", "30m", (48, 336)),
        ("60m", "1h", (24, 168)),
        ("H", "1h", (24, 168)),
        ("5h", "5h", ()),
        ("6h", "6h", (4, 28)),
        ("24h", "1d", (7,)),
        ("D", "1d", (7,)),
        ("W-SUN", "1w", (52,)),
        ("2w", "2w", (26,)),
        ("M", "1mo", (12,)),
        ("MS", "1mo", (12,)),
        ("ME", "1mo", (12,)),
        ("1mo", "1mo", (12,)),
        ("3mo", "1q", (4,)),
        ("QS-OCT", "1q", (4,)),
        ("QE", "1q", (4,)),
        ("Y", "1y", ()),
        ("A-DEC", "1y", ()),
        ("2y", "2y", ()),
        ("BME", "1BME", (12,)),
        ("BM", "1BME", (12,)),
        ("3BMS", "1BQS", (4,)),
        ("BQE-DEC", "1BQE", (4,)),
        ("BYE", "1BYE", ()),
        ("BAS-JAN", "1BYS", ()),
        ("step", "step", ()),
        ("10step", "10step", ()),
        ("step(24,168)", "step(24,168)", (24, 168)),
    ],
)
def test_an_alias_is_read_and_its_string_form_round_trips(text, canonical, seasons):
    frequency = Frequency.parse(text)
    assert str(frequency) == canonical
    assert Frequency.parse(str(frequency)) == frequency
    assert hash(Frequency.parse(str(frequency))) == hash(frequency)
    assert frequency.seasons == seasons
    assert frequency.season == (seasons[0] if seasons else 1)


@pytest.mark.parametrize("text", ["", "hourly", "1x", "0h", "-1h", "1.5h", "0step"])
def test_what_is_no_frequency_is_refused(text):
    with pytest.raises(ParameterError, match="frequency"):
        Frequency.parse(text)


def test_business_days_are_refused_with_the_way_out():
    with pytest.raises(ParameterError, match="give '1d'"):
        Frequency.parse("B")


def test_month_ends_stay_month_ends():
    month = Frequency.parse("1mo").stamps(np.datetime64("2023-01-31"), 4)
    assert list(month) == list(stamps("2023-01-31", "2023-02-28", "2023-03-31", "2023-04-30"))
    quarter = Frequency.parse("1q").stamps(np.datetime64("2023-06-30T06:00"), 3)
    assert list(quarter) == list(stamps("2023-06-30T06:00", "2023-09-30T06:00", "2023-12-31T06:00"))
    year = Frequency.parse("1y").stamps(np.datetime64("2023-02-28"), 2)
    assert list(year) == list(stamps("2023-02-28", "2024-02-29"))


def test_a_late_day_is_clipped_to_february_and_comes_back():
    found = Frequency.parse("1mo").stamps(np.datetime64("2023-01-30"), 3)
    assert list(found) == list(stamps("2023-01-30", "2023-02-28", "2023-03-30"))


FREQUENCIES = st.sampled_from(["1s", "7m", "15m", "1h", "1d", "1w", "1mo", "1q", "1y"])
BUSINESS = st.sampled_from(["1BME", "2BME", "1BQE", "1BYE", "1BMS", "1BQS"])
STARTS = st.datetimes().filter(lambda start: 1900 <= start.year <= 2100)


@given(FREQUENCIES, STARTS, st.integers(0, 60))
def test_positions_invert_stamps(text, start, n):
    frequency = Frequency.parse(text)
    grid = frequency.stamps(np.datetime64(start), n)
    assert grid.dtype == "M8[us]"
    assert frequency.positions(np.datetime64(start), grid).tolist() == list(range(n))
    assert (frequency.positions(np.datetime64(start), grid + 1) == -1).all()


@given(BUSINESS, STARTS, st.integers(1, 60))
def test_stamps_on_business_days_are_from_monday_to_friday(text, start, n):
    frequency = Frequency.parse(text)
    grid = frequency.stamps(np.datetime64(start), n)
    assert np.is_busday(grid.astype("M8[D]")).all()
    assert frequency.positions(grid[0], grid).tolist() == list(range(n))
    assert (frequency.positions(grid[0], grid + 1) == -1).all()
    days, months = grid.astype("M8[D]"), grid.astype("M8[M]")
    beyond = np.busday_offset(days, 1 if frequency.business_day == "last" else -1)
    assert (beyond.astype("M8[M]") != months).all()


@given(FREQUENCIES, STARTS, st.sets(st.integers(0, 40), min_size=1).map(sorted))
def test_a_grid_with_gaps_is_inferred(text, start, kept):
    frequency = Frequency.parse(text)
    # Most stamps have a neighbour, else the common gap would rightly be a multiple of the step.
    neighbours = range(41, 43 + len(kept))
    grid = frequency.stamps(np.datetime64(start), neighbours.stop)
    assert Frequency.infer([grid[[*kept, *neighbours]]]) == frequency


def test_integer_positions():
    step = Frequency.parse("10step")
    assert step.stamps(5, 3).tolist() == [5, 15, 25]
    assert step.positions(5, np.array([25, 6, -5])).tolist() == [2, -1, -1]
    assert Frequency.infer([np.array([0, 10, 30])]) == step
    assert Frequency.infer([np.array([7])]) == Frequency.parse("step")


def test_positions_before_the_start_are_off_the_grid():
    day = Frequency.parse("1d")
    assert day.positions(np.datetime64("2024-01-02"), stamps("2024-01-01")).tolist() == [-1]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (("2024-01-05", "2024-01-08", "2024-01-09"), "1d"),  # over a weekend
        (("2024-01-01", "2024-02-01"), "1mo"),
        (("2023-01-31", "2023-02-28", "2023-03-31"), "1mo"),
        (("2023-01-30", "2023-02-28", "2023-03-30", "2023-04-30"), "1mo"),
        (("2023-03-31", "2023-06-30", "2023-12-31"), "1q"),
        (("2019-12-31", "2020-12-31", "2022-12-31"), "1y"),
        (("2024-01-01", "2024-01-15"), "2w"),
    ],
)
def test_the_calendar_is_recognised(texts, expected):
    assert str(Frequency.infer([stamps(*texts)])) == expected


def test_series_are_not_joined_end_to_end_when_inferring():
    assert str(Frequency.infer([stamps("2024-01-01", "2024-01-02"), stamps("2024-01-05T07:13")])) == "1d"


@pytest.mark.parametrize("text", ["1h", "1mo", "1d"])
def test_one_misplaced_stamp_does_not_make_a_fine_grid(text):
    frequency = Frequency.parse(text)
    grid = frequency.stamps(np.datetime64("2024-01-01"), 24)
    grid[10] += np.timedelta64(61, "s")
    assert Frequency.infer([grid]) == frequency


def test_series_of_one_stamp_need_the_option():
    with pytest.raises(DataError, match="--freq"):
        Frequency.infer([stamps("2024-01-01"), stamps("2024-01-02")])


def test_without_calendar_keeps_the_seasons():
    assert Frequency.parse("1h").without_calendar() == Frequency.parse("step(24,168)")
