"""Thresholds of two scores: each has half of the budget, and one score says what both do."""

import numpy as np
import pytest

from recurra.detection.peaks_over_threshold import PeaksOverThreshold
from recurra.detection.smoothing import smoothed
from recurra.detection.two_scales import NEVER, Scales, TwoScales


def scores(steps: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    noise = abs(np.random.default_rng(seed).normal(size=steps + 100))
    return smoothed(noise**2, 20)[100:], noise[100:]


@pytest.fixture(scope="module")
def clean() -> tuple[np.ndarray, np.ndarray]:
    return scores(5000, 0)


def test_a_score_beyond_either_threshold_is_beyond_the_threshold_of_the_score(clean) -> None:
    scales = TwoScales(clean[0], clean[1], 1e-3)
    slow, fast = scales.thresholds
    for own, is_alarm in (((0.99 * slow, 0.0), False), ((1.01 * slow, 0.0), True), ((0.0, 1.01 * fast), True)):
        judged = scales.judge(*own)
        assert (judged.score > judged.threshold) == is_alarm
        assert (judged.probability < 1e-3) == is_alarm
        assert judged.is_fast == (own[1] > 0)
        assert judged.fast_alarm == (own[1] > fast)
    assert scales.judge(0.5 * slow, fast).score == pytest.approx(scales.gain * fast)


def test_steps_are_judged_as_they_come(clean) -> None:
    slow, fast = scores(300, 1)
    fast[200] = 30
    whole = TwoScales(clean[0], clean[1], 1e-3, 0.1).run(slow, fast)
    stream = TwoScales(clean[0], clean[1], 1e-3, 0.1)
    steps = [stream.step(*row) for row in zip(slow, fast, strict=True)]
    for name, found in whole._asdict().items():
        assert np.array_equal(found, [getattr(step, name) for step in steps]), name
    assert whole.fast_alarm[200]
    assert whole.score[200] == pytest.approx(stream.gain * 30)
    fast[250:] = 50
    assert all(
        np.array_equal(one[:250], other[:250])
        for one, other in zip(whole, TwoScales(clean[0], clean[1], 1e-3, 0.1).run(slow, fast), strict=True)
    )


@pytest.mark.slow
def test_half_of_the_budget_each() -> None:
    probability = 0.02
    slow, fast = scores(20_000, 2)
    judged = TwoScales(slow, fast, probability).run(*scores(20_000, 3))
    assert judged.fast_alarm.mean() == pytest.approx(probability / 2, rel=0.25)


def test_tails_are_those_that_the_thresholds_follow_from(clean) -> None:
    scales = TwoScales(clean[0], clean[1], 1e-3)
    for scores, tail, threshold in zip(clean, scales.tails, scales.thresholds, strict=True):
        assert (scores > tail.level).mean() == pytest.approx(tail.rate, rel=0.1)
        assert tail.survival(np.array([tail.level, threshold])) == pytest.approx([tail.rate, 5e-4], rel=1e-6)


def test_a_fast_score_that_is_always_0_never_alarms(clean) -> None:
    judged = TwoScales(clean[0], np.zeros_like(clean[0]), 1e-3).judge(0.5, 0.0)
    assert not judged.fast_alarm
    assert judged.score == 0.5


def test_thresholds_stay_where_they_were_through_many_anomalies(clean) -> None:
    noise = abs(np.random.default_rng(2).normal(size=6000))
    starts = range(500, 6000, 500)
    for start in starts:
        noise[start : start + 50] *= 4
    scales = TwoScales(smoothed(clean[1] ** 2, 20), clean[1], 1e-4, 0.1)
    before = scales.thresholds
    judged = scales.run(smoothed(noise**2, 20), noise)
    alarms = judged.fast_alarm | (smoothed(noise**2, 20) > judged.slow_threshold)
    assert all(alarms[start : start + 60].any() for start in starts)
    assert np.array(scales.thresholds) == pytest.approx(before, rel=0.5)


@pytest.mark.parametrize(("which", "column"), [("slow", 0), ("fast", 1)])
def test_one_score_alone_has_the_whole_budget(clean, which: Scales, column: int) -> None:
    probability = 0.02
    scales = TwoScales(clean[0], clean[1], probability, scales=which)
    alone = PeaksOverThreshold(probability).calibrate(clean[column])
    assert scales.thresholds[column] == pytest.approx(float(alone.judge(0.0)[1]))
    assert scales.thresholds[1 - column] == NEVER
    assert len(scales.tails) == 1
    limit = scales.thresholds[column]
    for own, is_alarm in ((1.01 * limit, True), (0.99 * limit, False)):
        pair = np.zeros(2)
        pair[column], pair[1 - column] = own, 100.0 * clean[1 - column].max()
        judged = scales.judge(*pair)
        assert (judged.score > judged.threshold) == is_alarm
        assert (judged.probability < probability) == is_alarm
        assert judged.is_fast == (which == "fast")
        assert (judged.fast_alarm or pair[0] > judged.slow_threshold) == is_alarm
    run = scales.run(*scores(300, 1))
    stream = TwoScales(clean[0], clean[1], probability, scales=which)
    steps = [stream.step(*row) for row in zip(*scores(300, 1), strict=True)]
    assert np.array_equal(run.threshold, [step.threshold for step in steps])
