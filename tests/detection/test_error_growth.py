import numpy as np
from numpy.testing import assert_allclose

from recurra.detection.error_growth import ErrorGrowth


def test_the_growth_of_a_random_walk_is_the_root_of_the_age() -> None:
    generator = np.random.default_rng(0)
    ages = generator.exponential(2.0, (20_000, 1)) + 0.05
    errors = np.sqrt(ages) * generator.normal(size=ages.shape)
    growth = ErrorGrowth.fit(ages, errors)
    at = np.array([[0.25], [1.0], [4.0]])
    assert_allclose(growth.factors(at)[:, 0] / growth.factors(at)[1, 0], [0.5, 1, 2], rtol=0.1)
    scaled = errors / growth.factors(ages)
    early, late = abs(scaled[ages < 0.5]).mean(), abs(scaled[(ages > 3) & (ages < 6)]).mean()
    assert_allclose(early, late, rtol=0.1)
    assert growth.factors(np.array([[1e9]])) == growth.sizes[-1]


def test_sizes_do_not_fall_and_few_errors_say_little() -> None:
    generator = np.random.default_rng(1)
    ages = generator.uniform(0, 5, (2000, 2))
    errors = generator.normal(size=ages.shape) / (1 + ages)
    errors[:, 1] = 0
    errors[generator.random(ages.shape) < 0.3] = np.nan
    growth = ErrorGrowth.fit(ages, errors)
    assert (np.diff(growth.sizes, axis=0) >= 0).all()
    assert_allclose(growth.sizes, 1, atol=0.05)
    few = ErrorGrowth.fit(np.array([[0.1], [3.0]]), np.array([[0.01], [5.0]]))
    assert few.factors(np.array([[0.1]])) > 0.8


def test_without_errors_or_ages_nothing_is_scaled() -> None:
    for ages, errors in ((np.ones((9, 1)), np.full((9, 1), np.nan)), (np.ones((9, 1)), np.ones((9, 1)))):
        assert_allclose(ErrorGrowth.fit(ages, errors).factors(np.array([[0.5], [7.0]])), 1)
