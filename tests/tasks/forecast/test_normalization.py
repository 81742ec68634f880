import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made_series import series_set, tiny, untrained, weekly_values, windows_of

from recurra.cells import GRU
from recurra.data.series.windows import Window, WindowShape
from recurra.models.forecasting.features import direct_inputs, phases, seasonal_lags
from recurra.models.forecasting.network import mean_loss
from recurra.models.forecasting.normalization import normalize
from recurra.models.forecasting.recursive import RecursiveNetwork

EVERY_NETWORK = [
    ("direct", "quantiles"),
    ("direct", "normal"),
    ("direct", "student_t"),
    ("direct", "negative_binomial"),
    ("recursive", "normal"),
    ("recursive", "student_t"),
    ("recursive", "negative_binomial"),
]


def test_units_by_hand():
    history = torch.tensor([[2.0, 4.0, torch.nan, 10.0]], dtype=torch.float64)
    units = normalize(history, 2)
    # The last season is (missing, 10); the only seasonal change |10 - 4|; deviations 8, 6, 0; level 16 / 3.
    for part, expected in zip(units, (10, 6, 14 / 3, 16 / 3), strict=True):
        assert part.item() == pytest.approx(expected)


@pytest.mark.parametrize("value", [0.1, 1 / 3, 7.0])
def test_a_constant_window_is_one_whatever_rounding_says_of_its_mean(value):
    history = torch.full((1, 31), value, dtype=torch.float64)
    history[0, 5] = value * (1 + 4e-16)
    assert normalize(history, 7).scale.item() == pytest.approx(1e-3 * value)


@given(st.floats(1e-6, 1e6), st.integers(0, 50))
def test_units_scale_with_the_data_and_normalised_values_do_not(factor, seed):
    history = torch.from_numpy(np.random.default_rng(seed).normal(3, 1, size=(2, 30)))
    history[:, 3] = torch.nan
    units, scaled = normalize(history, 7), normalize(factor * history, 7)
    for before, after in zip(units, scaled, strict=True):
        torch.testing.assert_close(after, factor * before)
    torch.testing.assert_close(scaled.apply(factor * history), units.apply(history), equal_nan=True)
    torch.testing.assert_close(scaled.invert(scaled.apply(factor * history)), factor * history, equal_nan=True)


@given(st.floats(-1e3, 1e3), st.integers(0, 50))
def test_a_shift_moves_the_location_only_and_the_level(shift, seed):
    history = torch.from_numpy(np.random.default_rng(seed).normal(size=(2, 30)))
    units, moved = normalize(history, 7), normalize(history + shift, 7)
    torch.testing.assert_close(moved.location, units.location + shift)
    torch.testing.assert_close(moved.scale, units.scale)
    torch.testing.assert_close(moved.deviation, units.deviation)
    torch.testing.assert_close(moved.apply(history + shift), units.apply(history))


@pytest.mark.parametrize("model", ["direct", "recursive"])
@pytest.mark.parametrize("factor", [1e-9, 0.37, 1e12])
def test_forecasts_scale_with_the_data(model, factor):
    y = weekly_values(60)
    data = series_set(y)
    model = untrained(data, model=model, output="auto")
    row, origin = np.array([0]), np.array([60])
    expected = model.quantiles(data, row, origin)
    found = model.quantiles(series_set(factor * y), row, origin)
    np.testing.assert_allclose(found / factor, expected, rtol=1e-4)


@pytest.mark.parametrize("model", ["direct", "recursive"])
def test_zeros_are_forecast_as_zeros_and_trained_forecasts_scale_with_the_data(model):
    late = np.r_[np.zeros(40), weekly_values(20)]
    values = [weekly_values(60), np.zeros(60), late]
    forecasts = [
        tiny(model=model).fit(series_set(*(factor * y for y in values))).predictions().quantiles
        for factor in (1.0, 2.0**-20, 2.0**20)
    ]
    for found, factor in zip(forecasts, (1.0, 2.0**-20, 2.0**20), strict=True):
        assert (found[1] == 0).all()
        np.testing.assert_allclose(found / factor, forecasts[0], rtol=1e-4)


@pytest.mark.parametrize("level", [1e9, 1e12])
def test_small_changes_on_a_large_level_are_forecast_in_their_own_size(level):
    changes, rows, origins = np.sin(2 * np.pi * np.arange(67) / 7), np.array([0]), np.array([60])
    found = untrained(series_set(changes[:60] + level)).quantiles(series_set(changes[:60] + level), rows, origins)
    assert np.abs(found - level).max() < 10


@pytest.mark.parametrize(("model", "output"), EVERY_NETWORK)
def test_the_median_of_a_constant_is_that_constant(model, output):
    values, change = ([3.0, 1e9], 1.0) if output == "negative_binomial" else ([3.0, 1e9, 1 / 3, -1e-7], 1e-9)
    data = series_set(*(np.full(40, value) for value in values), np.r_[np.full(39, 3.0), 3.0 + change])
    quantiles = untrained(data, model=model, output=output).quantiles(data, np.arange(len(data)), data.lengths)
    median = quantiles.shape[2] // 2
    np.testing.assert_allclose(quantiles[:-1, :, median].T, [values] * 5, rtol=1e-14)
    assert (np.diff(quantiles, axis=2) >= 0).all()
    assert quantiles[-1, :, median].std() > 0


def test_nothing_but_zeros_is_learned_and_forecast_as_zeros(caplog):
    fitted = tiny().fit(series_set(np.zeros(60)))
    assert "zeros" in caplog.text
    assert (fitted.predictions().quantiles == 0).all()


def test_a_shift_is_seen_only_in_the_size_of_the_level():
    """A shift cannot leave forecasts as they are: inputs say how large the changes are beside the level."""
    y, shape = weekly_values(40), WindowShape((7,), 8, 5)
    inputs, moved = (
        direct_inputs(windows_of(series_set(v), shape).cut(np.array([0]), np.array([40])), shape) for v in (y, y + 500)
    )
    torch.testing.assert_close(moved.candidates, inputs.candidates, atol=1e-4, rtol=1e-4)
    for before, after in ((inputs.encoder, moved.encoder), (inputs.decoder, moved.decoder)):
        differs = (before - after).abs().amax((0, 1)) > 1e-4
        assert differs.sum() == 1


EXTREME = {
    "constant": np.full(40, 3.0),
    "zero": np.zeros(40),
    "huge": 1e12 + 1e9 * np.sin(np.arange(40)),
    "tiny": 1e-9 * (2 + np.sin(np.arange(40))),
    "one": np.r_[5.0, np.full(39, np.nan)],
    "late": np.r_[0.0, np.full(33, np.nan), np.full(6, 1e6)],
    "spike": np.r_[np.zeros(30), 1e9, np.zeros(9)],
    "level with a jump": np.r_[np.full(35, 1e9), np.full(5, -1e9)],
}


@pytest.mark.parametrize(("model", "output"), EVERY_NETWORK)
def test_extreme_histories_give_finite_forecasts_and_gradients(model, output):
    values = list(EXTREME.values())
    if output == "negative_binomial":
        values = [np.abs(v).round() for v in values]
    data = series_set(*values)
    fitted = untrained(data, model=model, output=output, context_length=8)
    rows = np.arange(len(data))
    quantiles = fitted.quantiles(data, rows, data.lengths)
    assert np.isfinite(quantiles).all()
    assert (np.diff(quantiles, axis=2) >= 0).all()
    windows = windows_of(data, fitted.shape)
    for row, name in enumerate(EXTREME):
        window = windows.cut(np.array([row]), np.array([33]))
        target = window.target
        if model == "recursive":
            target = torch.cat([window.history[:, -8:], target], dim=1)
        fitted.network.zero_grad()
        loss = mean_loss(fitted.head, fitted.network(window)[0], target)
        loss.backward()
        assert loss.isfinite(), name
        for parameter in fitted.network.parameters():
            assert parameter.grad is None or parameter.grad.isfinite().all(), name


@given(
    st.sets(st.integers(1, 8), min_size=1, max_size=2),
    st.integers(1, 30),
    st.integers(2, 10),
    st.integers(1, 40),
)
def test_seasonal_candidates_have_exactly_the_phase_of_their_step(seasons, horizon, context, n):
    shape = WindowShape(tuple(sorted(seasons)), context, horizon)
    window = windows_of(series_set(np.arange(n)), shape).cut(np.array([0]), np.array([n]))
    inputs = direct_inputs(window, shape)
    values = inputs.units.invert(inputs.candidates)[0].numpy()
    for column, (season, back) in enumerate(seasonal_lags(shape)):
        # The latest position before the origin of the same phase, and that many seasons less one before it.
        position = np.array([max(p for p in range(-season, n) if (p - n - t) % season == 0) for t in range(horizon)])
        position -= (back - 1) * season
        np.testing.assert_array_equal(inputs.available[0, :, column].numpy(), position >= 0)
        seen = position >= 0
        np.testing.assert_allclose(values[seen, column], position[seen], atol=1e-4)
    assert inputs.available[..., -1].all()


@given(st.integers(1, 7), st.integers(1, 20), st.integers(2, 10))
def test_all_candidates_but_the_level_forecast_a_periodic_series_exactly(season, horizon, context):
    shape = WindowShape((season,), context, horizon)
    n = shape.history
    whole = np.random.default_rng(season).normal(5, 2, size=season)[np.arange(n + horizon) % season]
    window = windows_of(series_set(whole), shape).cut(np.array([0]), np.array([n]))
    inputs = direct_inputs(window, shape)
    values = inputs.units.invert(inputs.candidates)[0, :, :-1].numpy()
    np.testing.assert_allclose(values, np.repeat(whole[n:, None], values.shape[1], axis=1), rtol=1e-4, atol=1e-4)


def test_the_candidates_of_the_recursive_network_have_the_phase_of_their_step():
    shape = WindowShape((3, 7), 4, 5)
    window = windows_of(series_set(np.arange(40.0)), shape).cut(np.array([0]), np.array([30]))
    network = RecursiveNetwork(GRU(), shape, window, [], 8, 1, 0.0, 2)
    found = network._candidates(torch.arange(40.0).double()[None], 10, 2)[0]
    # The value before; seasons back, one of which is not there; the value before moved as a season before; the level.
    nan = torch.nan
    expected = torch.tensor([[9, 7, 4, 3, nan, 10, 10, 0], [10, 8, 5, 4, nan, 11, 11, 0]]).double()
    torch.testing.assert_close(found, expected, equal_nan=True)


def test_phases_repeat_with_their_season_and_tell_its_steps_apart():
    found = phases(torch.arange(-5, 20), (1, 7))
    assert found.shape == (25, 4)
    torch.testing.assert_close(found[:7], found[7:14], atol=1e-5, rtol=0)
    assert len({tuple(row) for row in found[:7].round(decimals=3).tolist()}) == 7
    assert phases(torch.arange(4), (1,)).shape == (4, 0)


def test_windows_of_nothing_but_missing_values_have_units():
    units = normalize(torch.full((1, 20), torch.nan, dtype=torch.float64), 7)
    assert [part.item() for part in units] == [0, 1, 0.01, 0]


def test_a_window_is_moved_to_a_device_whole():
    window = windows_of(series_set(np.arange(20.0)), WindowShape((7,), 4, 2)).cut(np.array([0]), np.array([10]))
    assert isinstance(window.to(torch.device("meta")), Window)
    assert {part.device.type for part in window.to(torch.device("meta"))} == {"meta"}
