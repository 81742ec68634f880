"""Exponential means: by their definition, step by step, and in both directions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from recurra.detection.smoothing import ExponentialMean, smoothed


@given(st.integers(0, 30), st.integers(1, 3), st.floats(0.1, 500))
def test_weights_fall_exponentially(steps: int, channels: int, constant: float) -> None:
    values = np.random.default_rng(0).normal(size=(steps, channels))
    keep = np.exp(-1 / constant)
    lags = np.arange(steps)[:, None] - np.arange(steps)
    weights = np.where(lags >= 0, (1 - keep) * keep ** np.maximum(lags, 0), 0)
    assert_allclose(smoothed(values, constant), weights @ values, atol=1e-12)


@pytest.mark.parametrize("cut", [1, 9, 19])
def test_a_mean_goes_on_from_the_one_before(cut: int) -> None:
    values, mean = np.random.default_rng(0).normal(size=(20, 2)), ExponentialMean(5.0)
    whole = mean.run(values)
    first = mean.run(values[:cut])
    assert np.array_equal(first, whole[:cut])
    assert np.array_equal(mean.run(values[cut:], first[-1]), whole[cut:])


def test_later_values_count_in_hindsight_alone() -> None:
    values = np.random.default_rng(0).normal(size=50)
    changed = np.where(np.arange(50) < 30, values, 9)
    assert np.array_equal(smoothed(values, 4)[:30], smoothed(changed, 4)[:30])
    assert not np.isclose(smoothed(values, 4, hindsight=True)[29], smoothed(changed, 4, hindsight=True)[29])


def test_a_pulse_is_centred_in_hindsight() -> None:
    pulse = np.zeros(201)
    pulse[100] = 1
    found = smoothed(pulse, 8, hindsight=True)
    assert found.argmax() == 100
    assert_allclose(found[100 - 20 : 100], found[101 : 100 + 21][::-1], rtol=1e-6)
    assert found.sum() == pytest.approx(1, abs=1e-4)


def test_the_end_of_the_data_is_not_the_end_of_an_anomaly() -> None:
    found = smoothed(np.where(np.arange(100) < 50, 0.0, 1.0), 5, hindsight=True)
    assert (np.diff(found[50:]) > 0).all()
    assert found[-1] == pytest.approx(1, abs=1e-3)
