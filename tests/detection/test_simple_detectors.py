"""Simple detectors, by definition and on values that a file may hold."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from recurra.detection.baselines import moving_deviation, random_scores, seasonal_change

DETECTORS: list[Callable[[Any, int], Any]] = [moving_deviation, seasonal_change]


def test_a_moving_deviation_is_measured_by_the_values_before() -> None:
    values = np.random.default_rng(0).normal(size=(40, 2))
    found = moving_deviation(values, 7)
    for step in (2, 5, 30):
        before = values[max(0, step - 7) : step]
        assert_allclose(found[step], (abs(values[step] - before.mean(axis=0)) / before.std(axis=0)).max())
    assert found[:2].tolist() == [0, 0]


def test_a_seasonal_change_is_measured_by_the_value_a_period_before() -> None:
    values = np.random.default_rng(0).normal(size=(40, 2))
    found = seasonal_change(values, 7)
    assert found[:7].tolist() == [0] * 7
    assert_allclose(found[9], abs(values[9] - values[2]).mean())


@pytest.mark.parametrize("detect", DETECTORS)
def test_a_spike_has_the_highest_score(detect: Callable[[Any, int], Any]) -> None:
    values = np.random.default_rng(0).normal(size=(60, 1))
    values[50] = 30
    assert detect(values, 6).argmax() == 50


@pytest.mark.parametrize("detect", DETECTORS)
@pytest.mark.parametrize("bad", ["constant", "one row", "shorter"])
def test_scores_are_finite(detect: Callable[[Any, int], Any], bad: str) -> None:
    values = np.random.default_rng(0).normal(size=(30, 2))
    if bad == "constant":
        values[:] = 3.5
    values = values[: {"one row": 1, "shorter": 5}.get(bad, 30)]
    found = detect(values, 6)
    assert found.shape == (len(values),)
    assert np.isfinite(found).all()
    if bad == "constant":
        assert not found.any()


def test_random_scores_are_the_seed_s() -> None:
    found = random_scores(500, 3)
    assert found.shape == (500,)
    assert ((found >= 0) & (found < 1)).all()
    assert np.array_equal(found, random_scores(500, 3))
    assert not np.array_equal(found, random_scores(500, 4))


@pytest.mark.parametrize("detect", DETECTORS)
def test_later_values_change_no_score(detect: Callable[[Any, int], Any]) -> None:
    values = np.random.default_rng(0).normal(size=(60, 2))
    changed = values.copy()
    changed[40:] += 5
    assert np.array_equal(detect(values, 6)[:40], detect(changed, 6)[:40])
