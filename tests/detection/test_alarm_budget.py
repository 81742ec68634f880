import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.detection.budget import probability_of_budget
from recurra.errors import ParameterError

HOUR = 3600.0


@pytest.mark.parametrize(
    ("text", "step", "expected"),
    [
        ("1 a week", HOUR, 1 / 168),
        ("2 per day", 300, 2 / 288),
        ("2/day", 300, 2 / 288),
        ("1 / h", 60, 1 / 60),
        ("once a month", HOUR, 12 / (365.25 * 24)),
        ("3 false alarms every 2 days", HOUR, 3 / 48),
        ("one alarm per year", 86_400, 1 / 365.25),
        ("1 in 10000", None, 1e-4),
        ("1 in 10,000 steps", HOUR, 1e-4),
        ("5 out of 2_000", None, 0.0025),
        ("0.5 a week", HOUR, 0.5 / 168),
        ("0.001", None, 0.001),
        (1e-4, None, 1e-4),
        ("1E-4", HOUR, 1e-4),
    ],
)
def test_a_budget_is_a_probability(text, step, expected):
    assert probability_of_budget(text, step) == pytest.approx(expected)


@given(st.integers(1, 20), st.sampled_from(["hour", "day", "week", "month", "year"]))
def test_twice_the_step_has_twice_the_probability(count, unit):
    text = f"{count} per {unit}"
    assert probability_of_budget(text, 20) == pytest.approx(2 * probability_of_budget(text, 10))


@pytest.mark.parametrize(
    ("text", "step", "fact"),
    [
        ("rarely", HOUR, "1 a week"),
        ("1 a fortnight", HOUR, "week"),
        ("1 in 0", None, "is 0"),
        ("0 a week", HOUR, "more than no"),
        ("1 a minute", HOUR, "3600 seconds"),
        ("2,5 a week", HOUR, "2,5"),
        ("0,001", None, "0,001"),
        ("1 in 2", None, "0.5"),
        ("1 a week", None, "1 in 10000"),
        ("1 a week", -1, "seconds"),
        ("nan", None, "nan"),
        ("1", HOUR, "how often"),
    ],
)
def test_what_is_no_budget_is_refused_with_the_way_out(text, step, fact):
    with pytest.raises(ParameterError) as caught:
        probability_of_budget(text, step)
    assert fact in str(caught.value)
