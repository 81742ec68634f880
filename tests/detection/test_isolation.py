"""Isolation over windows, as scikit-learn computes it."""

import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose

from recurra.detection.isolation import isolation_scores
from recurra.errors import MissingExtraError


def waves(steps: int, seed: int) -> np.ndarray:
    noise = 0.05 * np.random.default_rng(seed).normal(size=(steps, 2))
    return np.stack([np.sin(np.arange(steps) / 4), np.cos(np.arange(steps) / 4)], axis=1) + noise


def test_scores_are_those_of_the_forest_on_windows() -> None:
    from sklearn.ensemble import IsolationForest

    values = waves(300, 0)
    windows = np.stack([values[at : at + 20].T.ravel() for at in range(281)])
    expected = -IsolationForest(random_state=3).fit(windows).score_samples(windows)
    [scores] = isolation_scores([values], 20, 3)
    assert_allclose(scores[19:], expected)
    assert not scores[:19].any()
    assert_allclose(isolation_scores([values], 20, 3, hindsight=True)[0][100], scores[100:120].mean())


def test_an_odd_window_is_isolated_sooner() -> None:
    values = waves(600, 1)
    values[400:420] = 0.0
    scores = isolation_scores([values, waves(50, 2), waves(5, 3)], 20, 0)
    assert [len(one) for one in scores] == [600, 50, 5]
    assert 400 <= scores[0].argmax() < 440


def test_a_missing_extra_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'recurra\[anomaly\]'"):
        isolation_scores([waves(50, 0)], 10, 0)
