import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.models.forecasting.conformal import apply_margins, fit_margins, interval_pairs, nominal_percent
from recurra.tasks.forecast.backtest import coverage

DECILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def test_pairs_are_the_central_intervals_widest_first():
    assert interval_pairs(DECILES) == [(0, 8), (1, 7), (2, 6), (3, 5)]
    assert interval_pairs((0.05, 0.5, 0.9, 0.95)) == [(0, 3)]
    assert interval_pairs((0.5,)) == []
    assert [nominal_percent(DECILES, pair) for pair in interval_pairs(DECILES)] == ["80", "60", "40", "20"]
    assert nominal_percent((0.0025, 0.5, 0.9975), (0, 2)) == "99.5"


def test_margins_by_hand():
    # Intervals [0, 1] scaled by 2; scores of 9 values from -0.5 / 2 outward, of which the 8th is taken (0.8 * 10).
    # Nine windows keep 9 / (9 + 3) of it.
    truth = np.array([0.5, 0.4, 0.2, 1.0, 1.2, 1.4, 3.0, 5.0, 21.0])[:, None]
    quantiles = np.tile([0.0, 0.5, 1.0], (9, 1, 1))
    assert fit_margins(truth, quantiles, np.full(9, 2.0), (0.1, 0.5, 0.9)) == [pytest.approx(2.0 * 9 / 12)]


def test_margins_grow_with_the_root_of_the_step_and_are_never_negative():
    moved = apply_margins(np.zeros((1, 4, 3)), np.array([2.0]), (0.1, 0.5, 0.9), [0.5])
    np.testing.assert_allclose(moved[0, :, 2], np.sqrt([1, 2, 3, 4]))
    wide = np.tile([-9.0, 0.0, 9.0], (5, 4, 1))
    assert fit_margins(np.zeros((5, 4)), wide, np.ones(5), (0.1, 0.5, 0.9)) == [0.0]


def test_the_rank_is_that_of_the_level_and_not_of_its_rounding_error():
    # 0.8 - 0.2 is 0.6000000000000001; of 9 scores 0, 1, ... the sixth is 5.
    truth = np.arange(9.0)[:, None]
    found = fit_margins(truth, np.zeros((9, 1, 3)), np.ones(9), (0.2, 0.5, 0.8))
    assert found == [pytest.approx(5.0 * 9 / 12)]


def test_missing_truth_does_not_count_and_without_any_nothing_moves():
    truth, quantiles = np.array([[1.0, np.nan]]), np.zeros((1, 2, 3))
    assert fit_margins(truth, quantiles, np.ones(1), (0.1, 0.5, 0.9)) == [pytest.approx(1 / 4)]
    assert fit_margins(truth * np.nan, quantiles, np.ones(1), (0.1, 0.5, 0.9)) == [0.0]


@pytest.mark.parametrize("width", [0.2, 1.0])
def test_intervals_cover_as_they_should_on_exchangeable_windows(width):
    generator = np.random.default_rng(7)
    scales = generator.lognormal(size=800)
    truth = scales[:, None] * generator.standard_t(3, size=(800, 6))
    quantiles = scales[:, None, None] * width * (np.array(DECILES) - 0.5) + np.zeros((800, 6, 1))
    margins = fit_margins(truth[:400], quantiles[:400], scales[:400], DECILES)
    found = apply_margins(quantiles[400:], scales[400:], DECILES, margins)
    for low, high in interval_pairs(DECILES):
        nominal = DECILES[high] - DECILES[low]
        assert coverage(truth[400:], found[..., low], found[..., high]) == pytest.approx(nominal, abs=0.05)
    assert margins[0] > 0
    assert coverage(truth[400:], quantiles[400:, :, 0], quantiles[400:, :, -1]) < 0.5


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
