import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.series.calendar import calendar_features, holiday_feature
from recurra.data.series.frequency import Frequency
from recurra.errors import MissingExtraError, ParameterError

START = np.datetime64("2024-01-01")  # a Monday


def features(text: str, start: np.datetime64 = START, n: int = 1) -> dict[str, np.ndarray]:
    frequency = Frequency.parse(text)
    values, names = calendar_features(frequency, frequency.stamps(start, n))
    assert values.shape == (n, len(names))
    return dict(zip(names, values.T, strict=True))


@pytest.mark.parametrize(
    ("text", "cycles", "weekend"),
    [
        ("15m", ("minute_of_day", "day_of_week", "day_of_year"), True),
        ("1h", ("hour_of_day", "day_of_week", "day_of_year"), True),
        ("1d", ("day_of_week", "day_of_month", "day_of_year"), True),
        ("1w", ("week_of_year",), False),
        ("1mo", ("month",), False),
        ("1q", ("month",), False),
        ("1y", (), False),
    ],
)
def test_the_columns_by_frequency(text, cycles, weekend):
    expected = [f"{cycle}_{wave}" for cycle in cycles for wave in ("sin", "cos")]
    assert list(features(text)) == expected + ["weekend"] * weekend


def test_steps_have_no_calendar():
    values, names = calendar_features(Frequency.parse("step"), np.arange(5))
    assert values.shape == (5, 0)
    assert values.dtype == np.float32
    assert names == ()


def test_known_phases():
    noon = features("1h", np.datetime64("2024-01-01T12:00"))
    assert noon["hour_of_day_cos"][0] == pytest.approx(-1)
    quarter_past = features("15m", np.datetime64("2024-01-01T06:00"))
    assert quarter_past["minute_of_day_sin"][0] == pytest.approx(1)
    april = features("1mo", np.datetime64("1960-04-01"))
    assert april["month_sin"][0] == pytest.approx(1)
    middle = features("1d", np.datetime64("2023-02-15"))
    assert middle["day_of_month_cos"][0] == pytest.approx(-1)


def test_the_weekend_is_saturday_and_sunday():
    assert features("1d", START, 8)["weekend"].tolist() == [0, 0, 0, 0, 0, 1, 1, 0]
    assert features("1d", np.datetime64("1969-12-27"), 3)["weekend"].tolist() == [1, 1, 0]


@given(st.sampled_from(["1s", "15m", "1h", "1d", "1w", "1mo"]), st.integers(-(10**6), 10**6), st.integers(0, 40))
def test_every_cycle_lies_on_the_unit_circle(text, days, n):
    found = features(text, START + np.timedelta64(days, "D"), n)
    for name, sine in found.items():
        if name.endswith("_sin"):
            np.testing.assert_allclose(sine**2 + found[f"{name[:-4]}_cos"] ** 2, 1, rtol=1e-5)


def test_holidays():
    hours = Frequency.parse("12h").stamps(np.datetime64("2023-07-03"), 6)
    found = holiday_feature("US", hours)
    assert found.dtype == np.float32
    assert found.tolist() == [[0], [0], [1], [1], [0], [0]]
    assert holiday_feature("US", hours[:0]).shape == (0, 1)


def test_an_unknown_country_is_refused():
    with pytest.raises(ParameterError, match=r"holidays: expected .*US, GB, DE.*got 'XX'"):
        holiday_feature("XX", np.array([START]))


def test_positions_have_no_holidays():
    with pytest.raises(ParameterError, match="dates"):
        holiday_feature("US", np.arange(3))


def test_a_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "holidays", None)
    with pytest.raises(MissingExtraError, match=r"--holidays.*recurra\[forecast\]"):
        holiday_feature("US", np.array([START]))
