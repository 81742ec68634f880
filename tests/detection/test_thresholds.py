from functools import partial

import numpy as np
import pytest

from recurra.detection.conformal_tail import ConformalTail
from recurra.detection.peaks_over_threshold import PeaksOverThreshold
from recurra.detection.smoothing import smoothed
from recurra.errors import ParameterError, ShapeError

PROBABILITY = 0.01
SPOT = partial(PeaksOverThreshold, PROBABILITY)
DSPOT = partial(PeaksOverThreshold, PROBABILITY, window=50)
CONFORMAL = partial(ConformalTail, PROBABILITY, capacity=1000)
ADAPTIVE_SPOT = partial(PeaksOverThreshold, PROBABILITY, adaptation=0.1)
ADAPTIVE = partial(ConformalTail, PROBABILITY, capacity=500, adaptation=0.1)
NAMES = {SPOT: "spot", DSPOT: "dspot", CONFORMAL: "conformal", ADAPTIVE_SPOT: "adaptive spot", ADAPTIVE: "adaptive"}
ALL = pytest.mark.parametrize("make", NAMES, ids=NAMES.get)
PLAIN = pytest.mark.parametrize("make", [SPOT, DSPOT, CONFORMAL], ids=NAMES.get)
CALIBRATION = 1000


def gaussian(steps: int, series: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(steps, series))


def heavy(steps: int, series: int) -> np.ndarray:
    return np.random.default_rng(0).standard_t(3, size=(steps, series))


def autoregressive(steps: int, series: int) -> np.ndarray:
    scores = np.random.default_rng(0).normal(size=(steps, series))
    for t in range(1, steps):
        scores[t] += 0.5 * scores[t - 1]
    return scores


def rising(steps: int, series: int) -> np.ndarray:
    return gaussian(steps, series) + np.linspace(0, 6, steps)[:, None]


def widening(steps: int, series: int) -> np.ndarray:
    return gaussian(steps, series) * np.linspace(1, 3, steps)[:, None]


@pytest.mark.parametrize(
    ("make", "scores"),
    [
        *((SPOT, scores) for scores in (gaussian, heavy)),
        *((DSPOT, scores) for scores in (heavy, autoregressive)),
        *((CONFORMAL, scores) for scores in (gaussian, autoregressive)),
        (DSPOT, rising),
        *((ADAPTIVE, scores) for scores in (autoregressive, rising, widening)),
        (ADAPTIVE_SPOT, gaussian),
    ],
    ids=lambda value: NAMES.get(value) or value.__name__,
)
def test_clean_scores_give_as_many_alarms_as_the_budget_allows(make, scores):
    values = scores(CALIBRATION + 3000, 8)
    _, threshold = make().calibrate(values[:CALIBRATION]).run(values[CALIBRATION:])
    alarms = values[CALIBRATION:] > threshold
    for half in np.split(alarms, 2):
        assert PROBABILITY / 1.5 < half.mean() < PROBABILITY * 1.5


def test_a_low_probability_is_kept_to_beyond_what_calibration_has_seen():
    values = gaussian(CALIBRATION + 2500, 40)
    threshold = PeaksOverThreshold(1e-3).calibrate(values[:CALIBRATION])
    alarms = values[CALIBRATION:] > threshold.run(values[CALIBRATION:])[1]
    assert 1e-3 / 1.5 < alarms.mean() < 1e-3 * 1.5


@ALL
def test_probabilities_of_clean_scores_are_uniform_where_it_matters(make):
    values = gaussian(CALIBRATION + 4000, 2)
    probability, _ = make().calibrate(values[:CALIBRATION]).run(values[CALIBRATION:])
    for level in (0.02, 0.04, 0.1, 0.5):
        assert level / 1.5 < (probability <= level).mean() < level * 1.5


@ALL
def test_the_future_changes_no_bit_of_the_past(make):
    values = heavy(CALIBRATION + 400, 2)
    other = values.copy()
    other[CALIBRATION + 200 :] = 1e6
    first, second = (make().calibrate(v[:CALIBRATION]).run(v[CALIBRATION:]) for v in (values, other))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a[:200], b[:200])
    # The threshold of a step does not know the score of that step.
    np.testing.assert_array_equal(first[1][200], second[1][200])
    assert (first[0][200] != second[0][200]).all()


@ALL
def test_a_saved_threshold_resumes_bit_for_bit(make, tmp_path):
    values = heavy(CALIBRATION + 1200, 2)
    values[::7, 1] = np.nan
    threshold = make().calibrate(values[:CALIBRATION])
    whole = make().calibrate(values[:CALIBRATION]).run(values[CALIBRATION:])
    first = threshold.run(values[CALIBRATION : CALIBRATION + 777])
    np.savez(tmp_path / "state.npz", **threshold.to_dict())
    with np.load(tmp_path / "state.npz") as saved:
        second = type(threshold).from_dict(saved).run(values[CALIBRATION + 777 :])
    for expected, a, b in zip(whole, first, second, strict=True):
        np.testing.assert_array_equal(np.concatenate([a, b]), expected)


@ALL
def test_a_saved_state_is_a_copy(make):
    values = heavy(CALIBRATION + 300, 1)
    threshold = make().calibrate(values[:CALIBRATION])
    saved = threshold.to_dict()
    before = {name: array.copy() for name, array in saved.items()}
    type(threshold).from_dict(saved).run(values[CALIBRATION:])
    threshold.run(values[CALIBRATION:])
    for name, array in before.items():
        np.testing.assert_array_equal(saved[name], array)


@ALL
def test_series_do_not_know_of_each_other(make):
    values = heavy(CALIBRATION + 500, 3)
    together = make().calibrate(values[:CALIBRATION]).run(values[CALIBRATION:])
    alone = make().calibrate(values[:CALIBRATION, 1]).run(values[CALIBRATION:, 1])
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_allclose(a[:, 1], b, rtol=1e-12)


@ALL
def test_missing_scores_change_nothing(make):
    values = heavy(CALIBRATION + 300, 1)[:, 0]
    thresholds = [make().calibrate(values[:CALIBRATION]) for _ in range(2)]
    plain, gappy = thresholds
    expected = plain.run(values[CALIBRATION:])
    with_gaps = np.insert(values[CALIBRATION:], np.arange(0, 300, 3), np.nan)
    got = gappy.run(with_gaps)
    missing = np.isnan(with_gaps)
    assert np.isnan(got[0][missing]).all()
    for a, b in zip(expected, got, strict=True):
        np.testing.assert_array_equal(a, b[~missing])
    for name, array in plain.to_dict().items():
        np.testing.assert_array_equal(array, gappy.to_dict()[name])


@ALL
def test_infinite_scores_are_alarms_and_stay_out(make):
    values = gaussian(CALIBRATION, 1)[:, 0]
    values[5:8] = np.inf, -np.inf, np.nan
    threshold = make().calibrate(values)
    before = threshold.to_dict()
    probability, height = threshold.step(np.inf)
    assert probability < PROBABILITY
    assert np.isfinite(height)
    assert threshold.step(-np.inf)[0] == 1
    for name in ("state.level", "state.excesses", "state.buffer", "state.window"):
        if name in before:
            np.testing.assert_array_equal(threshold.to_dict()[name], before[name])


@PLAIN
@pytest.mark.parametrize("size", [20, 1e9])
def test_a_long_anomaly_hides_nothing_that_follows(make, size):
    values = gaussian(CALIBRATION + 600, 1)[:, 0]
    clean = make().calibrate(values[:CALIBRATION])
    before = clean.step(0.0)[1]
    threshold = make().calibrate(values[:CALIBRATION])
    threshold.run(np.full(200, size))
    threshold.run(values[CALIBRATION:])
    assert abs(threshold.step(0.0)[1] - before) < 1
    assert threshold.step(size)[0] < PROBABILITY


@ALL
def test_what_a_person_says_was_normal_is_normal_from_then_on(make):
    values = gaussian(CALIBRATION, 1)[:, 0]
    event = 6 + np.random.default_rng(1).normal(size=100)
    threshold = make().calibrate(values)
    before, _ = threshold.step(6.0)
    threshold.normal(event)
    after, height = threshold.step(6.0)
    assert before < PROBABILITY < after
    assert height > 6


def test_feedback_on_one_series_leaves_the_others():
    values = gaussian(CALIBRATION, 2)
    thresholds = [make().calibrate(values) for make in (SPOT, DSPOT, CONFORMAL)]
    for threshold in thresholds:
        before = threshold.step([0.0, 0.0])[1]
        threshold.normal(np.stack([np.full(100, 6.0), np.full(100, np.nan)], axis=1))
        after = threshold.step([0.0, 0.0])[1]
        assert after[0] > before[0] + 1
        assert abs(after[1] - before[1]) < 0.1


@PLAIN
def test_constant_scores_have_a_threshold(make):
    threshold = make().calibrate(np.full(CALIBRATION, 2.5))
    probability, height = threshold.run(np.array([2.5, 2.5, 3.0, 2.5]))
    np.testing.assert_allclose(height, 2.5)
    assert (probability <= PROBABILITY).tolist() == [False, False, True, False]


def test_without_enough_scores_for_its_probability_the_rank_gives_no_alarm_yet():
    threshold = ConformalTail(0.05).calibrate(np.arange(20.0))
    assert threshold.step(100.0)[1] == 19
    threshold = ConformalTail(0.05, adaptation=0.5).calibrate(np.arange(20.0))
    assert threshold.step(100.0)[1] == 19
    assert threshold.step(100.0)[1] == np.inf


def test_p_values_are_ranks():
    threshold = ConformalTail(0.1, capacity=20).calibrate(np.arange(20.0))
    probability, height = threshold.run(np.array([18.5, 0.5, 0.0]))
    np.testing.assert_allclose(probability * 21, [2, 21, 21])
    np.testing.assert_allclose(height, [18, 18.5, 18.5])


def test_the_buffer_stays_ordered():
    values = np.round(heavy(4000, 2), 1)
    threshold = ConformalTail(PROBABILITY, capacity=150).calibrate(values[:120])
    threshold.run(values[120:])
    state = threshold.to_dict()
    np.testing.assert_array_equal(np.sort(state["state.buffer"], axis=1), state["state.ordered"])


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: PeaksOverThreshold(0.0), "probability"),
        (lambda: PeaksOverThreshold(0.3), "probability"),
        (lambda: PeaksOverThreshold(0.01, window=-1), "window"),
        (lambda: PeaksOverThreshold(0.01, tail_fraction=0), "tail_fraction"),
        (lambda: PeaksOverThreshold(0.01, capacity=1), "capacity"),
        (lambda: PeaksOverThreshold(0.01, refit_every=0), "refit_every"),
        (lambda: PeaksOverThreshold(0.01, adaptation=2), "adaptation"),
        (lambda: ConformalTail(0.01, capacity=99), "capacity"),
        (lambda: ConformalTail(0.01, capacity=1000).calibrate(np.zeros(99)), "100 finite scores"),
        (lambda: DSPOT().calibrate(np.zeros(100)), "120 finite scores"),
        (lambda: SPOT().calibrate(np.full((30, 2), [[0, np.nan]])), "0 of series 1"),
        (lambda: SPOT().step(0.0), "calibrate"),
    ],
)
def test_wrong_arguments_are_refused(make, name):
    with pytest.raises(ParameterError, match=name):
        make()


def test_wrong_shapes_are_refused():
    with pytest.raises(ShapeError, match="scores"):
        SPOT().calibrate(np.zeros((30, 2, 2)))
    with pytest.raises(ShapeError, match=r"\(2,\)"):
        SPOT().calibrate(np.zeros((30, 2))).step(np.zeros(3))


def test_a_budget_is_kept_by_few_scores_that_are_alike_for_long() -> None:
    steps, series = 3000, 24
    noise = np.random.default_rng(5).normal(size=(steps + 4000, series)) ** 2
    values = smoothed(noise, 30)[1000:]
    _, limits = PeaksOverThreshold(1 / 1000).calibrate(values[:steps]).run(values[steps:])
    alarms = values[steps:] > limits
    events = (alarms & ~np.vstack([np.zeros((1, series), bool), alarms[:-1]])).sum()
    assert 0 < events < 1.5 * alarms.size / 1000


def test_scores_that_were_high_for_long_before_an_alarm_do_not_leave_the_tail_without_excesses() -> None:
    random = np.random.default_rng(0)
    threshold = PeaksOverThreshold(1 / 1000, capacity=50).calibrate(random.exponential(size=2000))
    # Above the level for longer than excesses are remembered, then an alarm.
    high = np.append(4 + 0.3 * random.exponential(size=80), 100)
    _, limits = threshold.run(high)
    assert (high > limits).tolist() == [False] * 80 + [True]
    later = random.exponential(size=5000)
    assert (later > threshold.run(later)[1]).mean() < 3 / 1000
