import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.models.forecasting.conformal import (
    Calibration,
    apply_margins,
    find_margins,
    interval_pairs,
    interval_scores,
    nominal_percent,
)
from recurra.tasks.forecast.backtest import coverage

DECILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def test_pairs_are_the_central_intervals_widest_first():
    assert interval_pairs(DECILES) == [(0, 8), (1, 7), (2, 6), (3, 5)]
    assert interval_pairs((0.05, 0.5, 0.9, 0.95)) == [(0, 3)]
    assert interval_pairs((0.5,)) == []
    assert [nominal_percent(DECILES, pair) for pair in interval_pairs(DECILES)] == ["80", "60", "40", "20"]
    assert nominal_percent((0.0025, 0.5, 0.9975), (0, 2)) == "99.5"


def margins(
    scores: np.ndarray, levels: tuple[float, ...] = (0.1, 0.5, 0.9), stored: np.ndarray | None = None
) -> list[float]:
    """Margins of scores (N, T) of recent windows, the same for every pair, beside those of stored windows."""
    pairs = len(interval_pairs(levels))
    none = np.empty((pairs, 0, scores.shape[1]))
    before = none if stored is None else np.tile(stored, (pairs, 1, 1))
    return find_margins(Calibration.of(before), np.tile(scores, (pairs, 1, 1)), levels)


def test_scores_by_hand():
    # The interval is [0, 1]; a window's scale is 2.
    truth = np.array([[0.5, -1.0, 4.0, np.nan]])
    quantiles = np.tile([0.0, 0.5, 1.0], (1, 4, 1))
    scores = interval_scores(truth, quantiles, np.array([2.0]), (0.1, 0.5, 0.9))
    np.testing.assert_array_equal(scores, [[[-0.25, 0.5, 1.5, np.nan]]])


def test_margins_by_hand():
    # Nine windows of a step: the level is 0.8 * 10 / 9, which the 8th of 9 scores reaches.
    scores = np.arange(9.0)[:, None]
    assert margins(scores) == [7.0]
    # One window of nine steps: the steps of a window count as one, and the level is 1.6.
    assert margins(scores.T) == [pytest.approx(1.6 * 8)]
    # The window that the run stores counts like the others.
    assert margins(scores[1:], stored=scores[:1]) == [7.0]


def test_a_largest_score_within_the_interval_is_not_enlarged():
    assert margins(np.array([[-3.0, -2.0]])) == [-2.0]


def test_a_window_counts_once_however_many_steps_it_has():
    stored, recent = np.zeros((30, 40)), np.ones((1, 40))
    assert margins(recent, stored=stored) == [0.0]


def test_the_rank_is_that_of_the_level_and_not_of_its_rounding_error():
    # 0.8 - 0.2 is 0.6000000000000001; of 9 scores 0, 1, ... the sixth is 5.
    assert margins(np.arange(9.0)[:, None], (0.2, 0.5, 0.8)) == [5.0]


def test_missing_truth_does_not_count_and_without_any_nothing_moves():
    assert margins(np.array([[1.0, np.nan]])) == margins(np.array([[1.0]]))
    assert margins(np.array([[np.nan, np.nan]])) == [0.0]
    assert margins(np.empty((0, 3))) == [0.0]


def test_a_calibration_survives_json_and_stores_a_few_scores_of_many():
    scores = np.random.default_rng(0).normal(size=(4, 300, 10))
    calibration = Calibration.of(scores)
    assert calibration.windows == 300
    assert all(len(of_pair) == 512 for of_pair in calibration.scores)
    assert Calibration.from_json(json.loads(json.dumps(calibration.to_json()))) == calibration
    whole = find_margins(Calibration(0, ((),) * 4), scores, DECILES)
    np.testing.assert_allclose(find_margins(calibration, scores[:, :0], DECILES), whole, atol=0.05)


@pytest.mark.parametrize("width", [0.2, 1.0, 5.0])
def test_intervals_cover_as_they_should_on_exchangeable_windows(width):
    generator = np.random.default_rng(7)
    scales = generator.lognormal(size=800)
    truth = scales[:, None] * generator.standard_t(3, size=(800, 6))
    quantiles = scales[:, None, None] * width * (np.array(DECILES) - 0.5) + np.zeros((800, 6, 1))
    scores = interval_scores(truth[:400], quantiles[:400], scales[:400], DECILES)
    margins = find_margins(Calibration.of(scores), scores[:, :0], DECILES)
    found = apply_margins(quantiles[400:], scales[400:], DECILES, margins)
    for low, high in interval_pairs(DECILES):
        nominal = DECILES[high] - DECILES[low]
        assert coverage(truth[400:], found[..., low], found[..., high]) == pytest.approx(nominal, abs=0.05)
    # Too narrow, they grow; far too wide, they shrink.
    assert (np.sign(margins[0]) == -1) == (width == 5.0)


@given(st.integers(0, 200), st.floats(-3, 3))
def test_quantiles_never_cross_whatever_the_margins_and_the_median_stays(seed, middle):
    generator = np.random.default_rng(seed)
    quantiles = np.sort(generator.normal(size=(3, 4, 9)), axis=-1)
    margins = generator.normal(middle, 2, size=4).tolist()
    before = quantiles.copy()
    found = apply_margins(quantiles, generator.lognormal(size=3), DECILES, margins)
    assert (np.diff(found, axis=-1) >= 0).all()
    np.testing.assert_array_equal(found[..., 4], before[..., 4])
    np.testing.assert_array_equal(quantiles, before)


def test_levels_without_a_partner_are_moved_only_as_far_as_order_asks():
    quantiles = np.array([[[1.0, 2.0, 3.0, 4.0]]])
    found = apply_margins(quantiles, np.ones(1), (0.1, 0.5, 0.8, 0.9), [1.0])
    assert found.tolist() == [[[0, 2, 3, 5]]]
    assert apply_margins(quantiles, np.ones(1), (0.1, 0.5, 0.8, 0.9), [-1.5]).tolist() == [[[2, 2, 3, 3]]]
