from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from made_series import series_set, tiny, untrained, windows_of

from recurra.data.series.series_set import SeriesSet
from recurra.data.series.windows import WindowSampler, WindowShape
from recurra.tasks.forecast.training import plan_validation

SHAPES = st.builds(
    lambda seasons, context, horizon: WindowShape(tuple(sorted(seasons)), context, horizon),
    st.sets(st.integers(1, 9), min_size=1, max_size=2),
    st.integers(2, 12),
    st.integers(1, 12),
)


@given(SHAPES, st.lists(st.integers(1, 40), min_size=1, max_size=3), st.data())
def test_a_window_holds_what_is_before_and_after_its_origin_and_nan_beyond_the_series(shape, lengths, data):
    ys = [np.arange(n) + 1000.0 * k for k, n in enumerate(lengths)]
    row = data.draw(st.integers(0, len(ys) - 1))
    origin = data.draw(st.integers(0, lengths[row]))
    window = windows_of(series_set(*ys), shape).cut(np.array([row]), np.array([origin]))
    endless = np.full(200, np.nan)
    endless[80 : 80 + lengths[row]] = ys[row]
    at = 80 + origin
    np.testing.assert_array_equal(window.history[0], endless[at - shape.history : at])
    np.testing.assert_array_equal(window.target[0], endless[at : at + shape.horizon])


def test_covariates_are_cut_to_the_context_and_the_horizon():
    data = series_set(np.arange(30.0), np.arange(20.0), past=1, known=1, ahead=2)
    shape = WindowShape((3,), 4, 2)
    windows = windows_of(data, shape)
    window = windows.cut(np.array([1, 1]), np.array([10, 20]))

    def standard(values: np.ndarray, column: np.ndarray) -> np.ndarray:
        return ((values - column.mean()) / column.std()).astype(np.float32)

    past = np.concatenate([series.past for series in data])
    # Future rows are not of the training part, and say nothing of its mean.
    known = np.concatenate([series.known[: len(series)] for series in data])
    own = data.series[1]
    np.testing.assert_allclose(window.past[:, :, 0], standard(np.stack([own.past[6:10, 0], own.past[16:20, 0]]), past))
    np.testing.assert_allclose(
        window.known[:, :, 0], standard(np.stack([own.known[6:12, 0], own.known[16:22, 0]]), known)
    )
    assert (window.known[:, :, 1] == 1).all()


def _spoiled(data: SeriesSet, origin: int, horizon: int, value: float) -> SeriesSet:
    """All that must not matter changed: y and past covariates from the origin on, known ones after the horizon."""
    spoiled = []
    for one in data:
        y, past, known = one.y.copy(), one.past.copy(), one.known.copy()
        y[origin:], past[origin:], known[origin + horizon :] = value, value, value
        spoiled.append(replace(one, y=y, past=past, known=known))
    return replace(data, series=tuple(spoiled))


@pytest.mark.parametrize("model", ["direct", "recursive"])
@pytest.mark.parametrize("value", [np.nan, 1e6])
def test_forecasts_do_not_depend_on_what_is_after_the_origin(model, value):
    generator = np.random.default_rng(0)
    data = series_set(generator.normal(size=60), generator.normal(size=60), past=2, known=1)
    origin = 40
    fitted = untrained(data, model=model)
    rows, origins = np.array([0, 1]), np.array([origin, origin])
    expected = fitted.quantiles(data, rows, origins)
    np.testing.assert_array_equal(fitted.quantiles(_spoiled(data, origin, 5, value), rows, origins), expected)
    # The same changes one step earlier do matter, to each part of the inputs.
    for part in ("y", "past", "known"):
        first = origin + 4 if part == "known" else origin - 1
        changed = getattr(data.series[0], part).copy()
        changed[first] = 7.0
        other = replace(data, series=(replace(data.series[0], **{part: changed}), data.series[1]))
        found = fitted.quantiles(other, rows, origins)
        assert (found[0] != expected[0]).any(), part


@given(SHAPES, st.lists(st.integers(1, 60), min_size=1, max_size=5), st.integers(0, 10), st.integers(0, 3))
def test_the_sampler_stays_within_its_ends_and_repeats_itself(shape, lengths, kept, seed):
    ends = np.array(lengths) - kept
    assume((ends - shape.horizon >= shape.least_origin).any())
    # Each value says its series and position.
    windows = windows_of(series_set(*[np.arange(n) + 1000.0 * k for k, n in enumerate(lengths)]), shape)
    sampler = WindowSampler(windows, ends, 16, seed)
    for step in (1, 2):
        window = sampler(step)
        assert not window.target.isnan().any()
        rows = (window.target[:, 0] // 1000).long().numpy()
        last = window.target[:, -1].numpy() - 1000.0 * rows
        assert (last < ends[rows]).all()
        assert (last - shape.horizon + 1 >= shape.least_origin).all()
        assert (window.history[:, -shape.least_origin :].isnan().sum(1) == 0).all()
        torch.testing.assert_close(window, WindowSampler(windows, ends, 16, seed)(step), equal_nan=True, rtol=0, atol=0)
    long = WindowSampler(windows, ends, 200, seed)
    assert (long(1).target != long(2).target).any() or (ends - shape.horizon).max() == shape.least_origin
    other = WindowSampler(windows, ends, 200, seed + 1)
    assert (long(1).target != other(1).target).any() or (ends - shape.horizon).max() == shape.least_origin


def test_validation_windows_lie_after_all_that_is_trained_on():
    data = series_set(np.arange(90.0), np.arange(40.0), np.arange(14.0))
    forecaster = tiny(validation_windows=3)
    learned = forecaster.learn(data, None)
    validation = plan_validation(forecaster, learned, None)
    # The third is too short to give any; training then sees all of it.
    assert validation.ends.tolist() == [75, 25, 14]
    assert validation.rows.tolist() == [0, 0, 0, 1, 1, 1]
    assert validation.origins.tolist() == [85, 80, 75, 35, 30, 25]
    # Data of its own validates with their last horizons, and leaves all of the others to training.
    other = series_set(np.arange(30.0))
    validation = plan_validation(forecaster, learned, other)
    assert validation.ends.tolist() == [90, 40, 14]
    assert validation.data is other
    assert validation.origins.tolist() == [25, 20, 15]
