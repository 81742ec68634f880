import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recurra.data.series.frequency import Frequency
from recurra.data.series.read import continuation, read_series
from recurra.tasks.forecast.backtest import (
    Folds,
    coverage,
    mean_absolute,
    naive,
    pinball,
    run_backtest,
    seasonal_naive,
    seasonal_scale,
    smape,
    weighted_quantile_loss,
)

NAN = float("nan")


def test_mean_absolute_passes_over_what_is_missing():
    assert mean_absolute(np.array([1.0, -2.0, NAN, 6.0])) == 3
    assert np.isnan(mean_absolute(np.array([NAN, NAN])))


def test_smape_by_hand():
    # 2 |10 - 30| / 40 = 1, 0 / 0 = 0, the missing truth does not count: (1 + 0 + 2) / 3.
    truth, forecast = np.array([10.0, 0.0, NAN, 0.0]), np.array([30.0, 0.0, 5.0, 4.0])
    assert smape(truth, forecast) == pytest.approx(100)
    assert smape(truth[:2], forecast[:2]) == pytest.approx(50)
    assert np.isnan(smape(truth[2:3], forecast[2:3]))


@given(arrays(float, 5, elements=st.floats(-1e6, 1e6)), arrays(float, 5, elements=st.floats(-1e6, 1e6)))
def test_smape_lies_between_0_and_200_and_is_symmetric(truth, forecast):
    value = smape(truth, forecast)
    assert 0 <= value <= 200 + 1e-9
    assert value == pytest.approx(smape(forecast, truth))


def test_the_scale_of_mase_by_hand():
    # Changes over two steps: |4 - 1|, |0 - 2|, and one that is missing.
    assert seasonal_scale(np.array([1.0, 2.0, 4.0, 0.0, NAN]), 2) == 2.5
    assert np.isnan(seasonal_scale(np.array([3.0, 3.0, 3.0]), 1))
    assert np.isnan(seasonal_scale(np.array([3.0, 4.0]), 2))


def test_pinball_by_hand():
    losses = pinball(np.array([10.0]), np.array([[8.0, 12.0]]), (0.1, 0.9))
    np.testing.assert_allclose(losses, [[0.2, 0.2]])
    losses = pinball(np.array([10.0]), np.array([[12.0, 8.0]]), (0.1, 0.9))
    np.testing.assert_allclose(losses, [[1.8, 1.8]])


def test_weighted_quantile_loss_by_hand():
    truth = np.array([[10.0, NAN, -10.0]])
    quantiles = np.array([[[8.0, 12.0], [0.0, 0.0], [-14.0, -10.0]]])
    # Level 0.1: 2 (0.2 + 0.4) / 20; level 0.9: 2 (0.2 + 0) / 20.
    assert weighted_quantile_loss(truth, quantiles, (0.1, 0.9)) == pytest.approx((0.06 + 0.02) / 2)
    assert np.isnan(weighted_quantile_loss(np.zeros(3), np.ones((3, 2)), (0.1, 0.9)))


def test_the_median_alone_makes_it_the_summed_error_over_the_summed_truth():
    truth, forecast = np.array([4.0, 6.0]), np.array([5.0, 3.0])
    assert weighted_quantile_loss(truth, forecast[:, None], (0.5,)) == pytest.approx(4 / 10)


def test_coverage_by_hand():
    truth = np.array([0.0, 1.0, 2.0, 3.0, NAN])
    assert coverage(truth, np.full(5, 1.0), np.full(5, 2.0)) == 0.5
    assert np.isnan(coverage(truth[4:], np.zeros(1), np.ones(1)))


def test_naive_repeats_the_last_observed_value():
    assert naive(np.array([1.0, 5.0, NAN]), 3).tolist() == [5, 5, 5]
    assert np.isnan(naive(np.array([NAN]), 2)).all()


def test_seasonal_naive_by_hand():
    history = np.array([1.0, 2.0, 3.0, 4.0, NAN, 6.0])
    assert seasonal_naive(history, 5, 3).tolist() == [4, 2, 6, 4, 2]
    # A phase that was never observed, here the last, takes the last value.
    assert seasonal_naive(np.array([1.0, 2.0]), 4, 3).tolist() == [2, 1, 2, 2]
    assert np.isnan(seasonal_naive(np.full(4, NAN), 2, 3)).all()


@given(st.integers(1, 9), st.integers(1, 30), st.integers(0, 20), st.data())
def test_seasonal_naive_forecasts_a_periodic_series_exactly(season, horizon, more, data):
    values = np.random.default_rng(data.draw(st.integers(0, 99))).normal(size=season)
    n = season + more
    whole = values[np.arange(n + horizon) % season]
    np.testing.assert_array_equal(seasonal_naive(whole[:n], horizon, season), whole[n:])


def test_seasonal_naive_on_m4_hourly_is_as_published():
    here = Path(__file__).resolve().parents[3]
    folder = Path(os.environ.get("RECURRA_DATA", here / ".." / "shared" / "data")) / "m4_hourly"
    files = sorted(folder.glob("*rain*.csv*")), sorted(folder.glob("*est*.csv*"))
    if not all(files):
        pytest.skip(f"M4 hourly is not in {folder}; set RECURRA_DATA to a folder that has it")
    data = read_series(files[0][0], frequency=Frequency.parse("1h"))
    longer = continuation(data, files[1][0])
    rows = np.arange(len(data))
    levels = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)

    def forecast(rows: np.ndarray, origins: np.ndarray) -> np.ndarray:
        return np.zeros((len(rows), 48, len(levels)))

    folds = Folds(rows, data.lengths, np.zeros(len(data), int), {})
    measures = run_backtest(longer, folds, forecast, 48, 24, levels).overall["seasonal naive"]
    assert len(data) == 414
    assert round(measures["sMAPE"], 3) == 13.912
    assert round(measures["MASE"], 3) == 1.193
    assert round(measures["wQL"], 4) == 0.0483
