"""The plane of normal windows, and the distance from it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from recurra.detection.subsequences import Subsequences


def wave(steps: int, channels: int = 1, noise: float = 0.05, seed: int = 0) -> np.ndarray:
    phases = np.arange(steps)[:, None] / 3 + np.arange(channels)
    return np.sin(phases) + noise * np.random.default_rng(seed).normal(size=(steps, channels))


def test_a_score_is_the_squared_distance_from_the_plane() -> None:
    model, values = Subsequences.fit([wave(300, 2)], 12), wave(100, 2, seed=1)
    assert_allclose(model.directions @ model.directions.T, np.eye(len(model.directions)), atol=1e-9)
    window = values[40:52].T.reshape(-1) - model.mean
    inside = sum((window @ direction) * direction for direction in model.directions)
    assert model.scores(values)[51] == pytest.approx(((window - inside) ** 2).mean())


def test_another_form_of_the_wave_is_unlike_the_rest() -> None:
    model, values = Subsequences.fit([wave(400), wave(50)], 20), wave(300, seed=1)
    values[200:220] = abs(values[200:220])
    for hindsight in (False, True):
        scores = model.scores(values, hindsight)
        assert 200 <= scores.argmax() < 240
        assert scores.max() > 5 * np.quantile(scores, 0.8)


def test_later_values_count_in_hindsight_alone() -> None:
    model, values = Subsequences.fit([wave(300)], 10), wave(80, seed=1)
    changed = values.copy()
    changed[50:] = 7
    assert_allclose(model.scores(changed)[:50], model.scores(values)[:50], rtol=1e-12)
    assert not np.isclose(model.scores(changed, True)[49], model.scores(values, True)[49])


@given(st.integers(2, 60), st.integers(1, 4), st.integers(1, 90), st.integers(1, 60), st.booleans())
def test_every_step_has_a_score(rows: int, channels: int, length: int, steps: int, hindsight: bool) -> None:
    model = Subsequences.fit([wave(rows, channels), wave(1, channels)], length)
    assert 1 <= model.length <= min(length, max(1, rows // 3))
    scores = model.scores(wave(steps, channels, seed=1), hindsight)
    assert scores.shape == (steps,)
    assert (scores >= -1e-12).all()


def test_many_channels_make_windows_short() -> None:
    assert Subsequences.fit([wave(500, 1)], 100).length == 100
    assert Subsequences.fit([wave(500, 50)], 100).length == 12
    assert Subsequences.fit([wave(90, 700)], 100).length == 1


def test_constant_series_explain_themselves_alone() -> None:
    model = Subsequences.fit([np.zeros((60, 2))], 10)
    assert not model.scores(np.zeros((30, 2))).any()
    assert model.scores(np.ones((30, 2)))[9:].all()
