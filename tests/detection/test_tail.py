import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recurra.detection.tail import Tail, fit_tail, predictive_tail


@pytest.mark.parametrize("shape", [-0.3, 0.0, 0.2, 0.5])
def test_the_tail_of_many_excesses_is_recovered(shape):
    true = Tail(shape, 2.0)
    excesses = true.excess(np.random.default_rng(0).random(4000))
    fitted = fit_tail(excesses)
    assert abs(fitted.shape - shape) < 0.06
    assert abs(fitted.scale - 2) < 0.15
    assert 0.007 < true.survival(fitted.excess(np.array(0.01))) < 0.013


@given(st.floats(-0.5, 0.9), st.floats(0.01, 100), st.floats(1e-6, 1))
def test_excess_is_the_inverse_of_survival(shape, scale, probability):
    tail = Tail(shape, scale)
    assert np.isclose(tail.survival(tail.excess(np.array(probability))), probability, rtol=1e-6)


def test_beyond_the_end_of_a_tail_nothing_is_left():
    tail = Tail(-0.5, 1.0)
    np.testing.assert_array_equal(tail.survival(np.array([0.0, 2.0, 3.0, np.inf])), [1, 0, 0, 0])


@given(hnp.arrays(float, st.integers(0, 40), elements=st.floats(1e-6, 1e6) | st.just(np.inf) | st.just(np.nan)))
def test_any_excesses_have_a_finite_tail(excesses):
    tail = fit_tail(excesses)
    assert -0.5 <= tail.shape <= 0.9
    assert np.isfinite(tail.scale)
    assert (tail.scale > 0) == np.isfinite(excesses).any()


def test_equal_excesses_have_an_exponential_tail():
    assert fit_tail(np.full(100, 3.0)) == (0, pytest.approx(3))


def test_without_excesses_any_excess_is_impossible():
    tail = fit_tail(np.array([]))
    np.testing.assert_array_equal(tail.survival(np.array([0.0, 1e-9])), [1, 0])
    assert tail.excess(np.array(0.01)) == 0


def test_excesses_cut_off_at_a_bound_tell_the_same_tail():
    excesses = np.random.default_rng(1).exponential(size=4000)
    beyond = excesses > 2
    cut = fit_tail(excesses[~beyond])
    whole = fit_tail(excesses[~beyond], np.full(beyond.sum(), 2.0))
    assert abs(whole.shape) < 0.06 < -cut.shape
    assert abs(whole.scale - 1) < 0.06
    assert fit_tail(excesses[~beyond], np.full(beyond.sum(), 2.0), weight=0) == pytest.approx(cut, abs=0.02)


@pytest.mark.parametrize("count", [8, 25, 80])
def test_a_predictive_tail_keeps_to_a_probability_that_the_likely_one_exceeds(count):
    generator, probability = np.random.default_rng(2), 0.002
    draws = [generator.exponential(size=count) for _ in range(60)]

    def exceeded(tails):
        return np.mean([np.exp(-tail.excess(np.array(probability))) for tail in tails]) / probability

    assert exceeded([predictive_tail(one, count, probability) for one in draws]) < 1.5
    assert exceeded([fit_tail(one) for one in draws]) > 1.5


def test_a_predictive_tail_of_many_excesses_is_the_likely_one():
    excesses = np.random.default_rng(3).exponential(size=5000)
    found, likely = predictive_tail(excesses, 5000, 0.002), fit_tail(excesses)
    for probability in (0.5, 0.1, 0.01):
        at = np.array(probability)
        assert found.excess(at) == pytest.approx(likely.excess(at), rel=0.1)


def test_excesses_that_tell_less_have_a_heavier_tail():
    excesses = np.random.default_rng(4).exponential(size=100)
    far = [float(predictive_tail(excesses, n, 0.002).excess(np.array(0.002))) for n in (100, 30, 10, 3)]
    assert far == sorted(far)
    assert far[-1] > 2 * far[0]
    scaled = predictive_tail(1000 * excesses, 10, 0.002).excess(np.array(0.002))
    assert scaled == pytest.approx(1000 * far[2], rel=1e-3)


@given(
    hnp.arrays(float, st.integers(0, 40), elements=st.floats(1e-6, 1e6) | st.just(np.inf) | st.just(np.nan)),
    st.floats(0, 50),
    st.floats(1e-6, 0.25),
)
def test_any_excesses_have_a_finite_predictive_tail(excesses, effective, probability):
    tail = predictive_tail(excesses, effective, probability)
    assert np.isfinite(tail.shape)
    assert np.isfinite(tail.scale)
    assert (tail.scale > 0) == np.isfinite(excesses).any()
