"""Drift is noticed, and seldom where there is none."""

import numpy as np
import pytest

from recurra.detection.drift import DriftWatch, _tail


def scores(steps: int, seed: int, correlation: float = 0.3) -> np.ndarray:
    """Positive, and correlated from step to step."""
    noise = np.random.default_rng(seed).normal(size=steps)
    logs = np.zeros(steps)
    for at in range(1, steps):
        logs[at] = correlation * logs[at - 1] + 0.4 * noise[at]
    return np.exp(logs)


@pytest.mark.parametrize(("size", "other"), [(4, 5), (8, 40), (32, 6)])
def test_the_test_is_students(size: int, other: int) -> None:
    from scipy.stats import ttest_ind

    random = np.random.default_rng(size)
    sample, normal = random.normal(0.7, 1, size), random.normal(0, 1, other)
    _, expected = ttest_ind(sample, normal, alternative="greater")
    assert _tail(sample, normal) == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_unchanged_scores_are_noticed_no_more_often_than_stated() -> None:
    looks = noticed = 0
    for seed in range(60):
        watch = DriftWatch(scores(1000, seed), 50, level=0.02)
        state = watch.new_state()
        for one in scores(3000, 1000 + seed).tolist():
            look = watch.step(state, one)
            looks += look is not None
            noticed += watch.is_drift(look)
    assert looks == 60 * 57
    assert noticed <= 0.02 * looks


@pytest.mark.parametrize("calibrated", [250, 2000])
def test_a_change_is_noticed_with_its_begin(calibrated: int) -> None:
    watch = DriftWatch(scores(calibrated, 1), 50)
    assert watch.block == 50
    stream = np.concatenate([scores(1000, 2), 1.6 * scores(600, 3)])
    look = watch.run(stream)
    assert look is not None
    assert watch.is_drift(look)
    assert 500 <= look.steps <= 700
    assert 1.2 < look.ratio < 1.7
    assert not look.or_earlier
    assert not watch.is_drift(watch.run(stream[:1000]))


def test_an_event_is_no_drift() -> None:
    watch = DriftWatch(scores(1000, 1), 50)
    stream = scores(1000, 2)
    stream[700:740] *= 1000
    state = watch.new_state()
    assert not any(watch.is_drift(watch.step(state, one)) for one in stream.tolist())


def test_missing_scores_count_for_nothing_and_the_state_is_an_array() -> None:
    watch, stream = DriftWatch(scores(1000, 1), 50), 2 * scores(3500, 2)
    with_gaps = np.insert(stream, [3, 400, 401], [np.nan, 0.0, np.nan])
    assert watch.run(with_gaps) == watch.run(stream)
    state, looks = watch.new_state().astype(np.float32), []
    for one in stream.tolist():
        looks.append(watch.step(state, one))
        state = state.copy()
    whole = watch.run(stream)
    assert whole is not None
    assert looks[-1] is not None
    assert looks[-1].steps == whole.steps == 32 * 50
    assert whole.or_earlier
    assert looks[-1].ratio == pytest.approx(whole.ratio, rel=1e-5)


def test_too_few_scores_watch_nothing() -> None:
    watch = DriftWatch(scores(49, 1), 50)
    assert not watch.works
    assert watch.run(5 * scores(1000, 2)) is None
