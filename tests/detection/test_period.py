"""The period is the one that the TSB-AD benchmark takes."""

import numpy as np
import pytest

from recurra.detection.period import DEFAULT_PERIOD, period_of
from recurra.errors import ParameterError, ShapeError


# pip install TSB-AD==1.5 (--no-deps, beside statsmodels 0.15.0): int(find_length_rank(values, rank=1)) of
# TSB_AD.utils.slidingWindows, for these series in turn. The last two have no period and an autocorrelation of noise.
def test_the_period_is_that_of_the_benchmark() -> None:
    steps, rng = np.arange(3000), np.random.default_rng(5)
    for length, expected in ((24, 24), (37.5, 38), (350, 125), (2.5, 125)):
        assert period_of(np.sin(2 * np.pi * steps / length) + 0.3 * rng.standard_normal(3000)) == expected
    assert period_of(rng.standard_normal(30)) == 13
    assert period_of(rng.standard_normal(1000).round()) == 250


@pytest.mark.parametrize("steps", [1, 3, 4, 5, 50, 1000])
def test_a_constant_series_has_the_default_period(steps: int) -> None:
    assert period_of(np.ones(steps)) == DEFAULT_PERIOD


def test_only_the_first_steps_are_read() -> None:
    rng = np.random.default_rng(0)
    first = np.sin(np.arange(20_000) * 2 * np.pi / 40) + 0.1 * rng.standard_normal(20_000)
    second = 100 * np.sin(np.arange(20_000) * 2 * np.pi / 70)
    assert period_of(np.concatenate((first, second))) == 40


@pytest.mark.parametrize(
    ("values", "error", "fact"),
    [
        ([[1.0], [2.0]], ShapeError, "channel"),
        ([], ShapeError, "values"),
        ([1.0, float("nan")], ParameterError, "nan"),
    ],
)
def test_what_has_no_period_is_refused(values: list[float], error: type[Exception], fact: str) -> None:
    with pytest.raises(error, match=fact):
        period_of(values)
