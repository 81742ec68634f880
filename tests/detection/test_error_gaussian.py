"""The Gaussian of errors."""

from typing import Any

import numpy as np
import pytest

from recurra.detection.error_gaussian import ErrorGaussian


def test_contributions_are_the_distance_of_what_came() -> None:
    generator = np.random.default_rng(0)
    mixing = generator.normal(size=(4, 4))
    covariance, mean = mixing @ mixing.T + 0.1 * np.eye(4), generator.normal(size=4)
    precision: Any = np.linalg.inv(covariance)
    gaussian = ErrorGaussian(mean, precision)
    errors = generator.normal(size=(5, 4))
    errors[1, 2] = errors[2, [0, 3]] = errors[3, 2] = np.nan
    errors[4] = np.nan
    found = gaussian.parts(errors, 2)
    for row, parts in zip(errors, found, strict=True):
        came = np.isfinite(row)
        rest = (row - mean)[came]
        distance = rest @ np.linalg.solve(covariance[np.ix_(came, came)], rest) if came.any() else 0
        assert parts.sum() == pytest.approx(distance / 4)
    assert abs(found[4]).max() == 0
    # The errors of two steps ahead, of two channels: those of the first channel are at 0 and 2.
    assert found[2, 0] != 0
    errors[0, [0, 2]] = np.nan
    assert gaussian.parts(errors, 2)[0, 0] == pytest.approx(0, abs=1e-12)


def test_it_is_fitted_to_errors_and_its_next_step_is_the_marginal() -> None:
    generator = np.random.default_rng(1)
    errors = generator.normal(size=(5000, 4)) @ generator.normal(size=(4, 4)) + np.arange(4)
    gaussian = ErrorGaussian.fit(errors)
    assert gaussian.mean == pytest.approx(errors.mean(axis=0))
    covariance = np.cov(errors.T)
    assert gaussian.variances(2) == pytest.approx(covariance.diagonal()[:2], rel=1e-2)
    beyond = np.array([[0.0, 0.0], [7.0, 0.0]])
    rest = errors[:2, :2] - gaussian.mean[:2] + beyond
    expected = rest * np.linalg.solve(covariance[:2, :2], rest.T).T / 2
    assert gaussian.next_step_parts(errors[:2], beyond) == pytest.approx(expected, rel=2e-2, abs=1e-2)
