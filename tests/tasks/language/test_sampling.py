from typing import Any

import numpy as np
import pytest

from recurra.errors import ParameterError
from recurra.tasks.language.sampling import Sampling

P = np.array([0.1, 0.4, 0.05, 0.25, 0.2])


def _drawn(sampling: Sampling, count: int = 400) -> np.ndarray:
    generator = np.random.default_rng(0)
    return np.bincount([sampling.draw(np.log(P), generator) for _ in range(count)], minlength=5) / count


def test_the_most_probable_as_temperature_goes_to_zero():
    for temperature in (0.0, 1e-12, 1e-3, 0.01):
        assert _drawn(Sampling(temperature=temperature))[1] == 1


def test_frequencies_are_probabilities():
    np.testing.assert_allclose(_drawn(Sampling(), 4000), P, atol=0.03)
    np.testing.assert_allclose(_drawn(Sampling(temperature=0.5), 4000), P**2 / (P**2).sum(), atol=0.03)
    np.testing.assert_allclose(_drawn(Sampling(temperature=1e6), 4000), np.full(5, 0.2), atol=0.03)


def test_only_the_most_probable_are_drawn():
    assert set(np.flatnonzero(_drawn(Sampling(top_k=2)))) == {1, 3}
    assert set(np.flatnonzero(_drawn(Sampling(top_k=9)))) == set(range(5))
    assert set(np.flatnonzero(_drawn(Sampling(top_p=0.6)))) == {1, 3}
    assert set(np.flatnonzero(_drawn(Sampling(top_p=0.66)))) == {1, 3, 4}
    assert set(np.flatnonzero(_drawn(Sampling(top_p=1e-9)))) == {1}
    # Of the two most probable the first has 0.4 of 0.65.
    assert set(np.flatnonzero(_drawn(Sampling(top_k=2, top_p=0.61)))) == {1}


def test_the_impossible_is_never_drawn():
    log_p = np.array([-np.inf, 0.0, -np.inf])
    for sampling in (Sampling(), Sampling(temperature=0.0), Sampling(temperature=100.0), Sampling(top_p=0.5)):
        assert {sampling.draw(log_p, np.random.default_rng(seed)) for seed in range(50)} == {1}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1}, "temperature: expected a number of at least 0"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_k": -1}, "top_k: expected a whole number of at least 0"),
        ({"top_p": 0}, "top_p: expected a number above 0 and of at most 1"),
        ({"top_p": 1.5}, "top_p: expected a number above 0 and of at most 1"),
    ],
)
def test_wrong_values_are_named(options: dict[str, Any], message: str):
    with pytest.raises(ParameterError, match=message):
        Sampling(**options)
