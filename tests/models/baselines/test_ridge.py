import numpy as np
from numpy.testing import assert_allclose
from sklearn.linear_model import RidgeCV

from recurra.data.labelled.series_encoding import SeriesEncoding
from recurra.models.baselines.ridge import fit_ridge


def test_it_is_that_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    for count in (12, 60):
        series = [generator.normal(size=(15, 2)) for _ in range(count)]
        target = np.array([one[3, 0] - 2 * one[7, 1] + 0.5 * generator.normal() for one in series]) + 5
        encoding = SeriesEncoding.of(series, ("x", "y"))
        found = fit_ridge(encoding, series, target)
        flat = np.stack([encoding.encode(one).numpy().ravel() for one in series])
        expected = RidgeCV(count * np.logspace(-3, 3, 13)).fit(flat, target)
        others = [generator.normal(size=(15, 2)) for _ in range(5)]
        flat = np.stack([encoding.encode(one).numpy().ravel() for one in others])
        assert_allclose(found.predict(encoding, others), expected.predict(flat), rtol=1e-4, atol=1e-5)


def test_long_series_of_any_length_and_a_single_one() -> None:
    generator = np.random.default_rng(0)
    series = [generator.normal(size=(steps, 1)) for steps in (900, 1, 700)]
    encoding = SeriesEncoding.of(series, ("x",))
    found = fit_ridge(encoding, series, np.array([1.0, 2.0, 3.0]))
    assert found.weight.shape == (600, 1)
    assert np.isfinite(found.predict(encoding, series)).all()
    assert fit_ridge(encoding, series[:1], np.array([4.0])).predict(encoding, series).tolist() == [4, 4, 4]
