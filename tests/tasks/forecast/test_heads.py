import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Distribution, NegativeBinomial, Normal, StudentT
from torch.nn.functional import softplus

from recurra.errors import ParameterError
from recurra.models.forecasting.heads import DistributionHead, make_head, sample_quantiles
from recurra.models.forecasting.normalization import Normalization, normalize
from recurra.tasks.forecast.backtest import pinball

LEVELS = (0.05, 0.1, 0.5, 0.8, 0.99)
DISTRIBUTIONS = ["normal", "student_t", "negative_binomial"]


def _units(seed: int = 0) -> Normalization:
    history = torch.from_numpy(np.random.default_rng(seed).normal(20, 4, size=(3, 40)))
    return normalize(history, 7)


def _raw(size: int, spread: float = 1.0, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return spread * torch.randn(3, 6, size, generator=generator)


@given(st.integers(0, 1000), st.floats(0, 4), st.sampled_from([LEVELS, (0.5,), (0.5, 0.9), (0.1, 0.5)]))
def test_quantiles_increase_strictly_whatever_the_network_says(seed, spread, levels):
    head = make_head("quantiles", levels)
    found = head.quantiles(_raw(head.size, spread, seed), levels, _units(), 1)
    assert found.shape == (3, 6, len(levels))
    assert (found.diff(dim=-1) > 0).all()


def test_quantiles_do_not_cross_where_raw_outputs_are_extreme():
    head = make_head("quantiles", LEVELS)
    for raw in (_raw(5, 1e4), torch.full((3, 6, 5), -1e4), torch.full((3, 6, 5), 1e8)):
        found = head.quantiles(raw, LEVELS, _units(), 1)
        assert found.isfinite().all()
        assert (found.diff(dim=-1) >= 0).all()


def test_the_first_raw_output_is_the_median():
    head, units, raw = make_head("quantiles", LEVELS), _units(), _raw(5)
    median = head.quantiles(raw, LEVELS, units, 1)[..., LEVELS.index(0.5)]
    torch.testing.assert_close(median, units.invert(raw[..., 0]))


def test_quantiles_are_those_trained():
    head = make_head("quantiles", (0.1, 0.5))
    with pytest.raises(ParameterError, match=r"quantiles: expected the levels trained, \(0.1, 0.5\)"):
        head.quantiles(_raw(2), (0.5,), _units(), 1)


def test_the_loss_is_the_pinball_loss_in_seasonal_and_in_relative_units():
    """Twice the mean pinball loss; half in units of the scale, and five times in units of level and scale."""
    head, units, raw = make_head("quantiles", LEVELS), _units(), _raw(5)
    target = torch.from_numpy(np.random.default_rng(3).normal(20, 4, size=(3, 6)))
    quantiles = head.quantiles(raw, LEVELS, units, 1)
    losses = torch.from_numpy(2 * pinball(target.numpy(), quantiles.numpy(), LEVELS).mean(-1))
    expected = 0.5 * losses / units.scale + 5 * losses / (units.level + units.scale)
    torch.testing.assert_close(head.loss(raw, target, units).double(), expected, rtol=1e-5, atol=1e-5)


def _in_data_units(output: str, raw: torch.Tensor, units: Normalization) -> Distribution:
    """The distribution as its docstring has it, in float64."""
    raw = raw.double()
    centre = units.location + units.scale * raw[..., 0]
    spread = units.scale * (softplus(raw[..., 1]) + 1e-3)
    if output == "normal":
        return Normal(centre, spread)
    if output == "student_t":
        return StudentT(2 + softplus(raw[..., 2]) + 1e-3, centre, spread)
    mean = units.scale * softplus(centre / units.scale) + 1e-4
    dispersion = softplus(raw[..., 1]) + 1e-4
    return NegativeBinomial(1 / dispersion, probs=mean * dispersion / (1 + mean * dispersion))


@pytest.mark.parametrize("output", DISTRIBUTIONS)
def test_the_loss_is_the_likelihood_of_the_distribution(output):
    """Of y in the data's units; for densities less log(scale), as the loss is of y in units of the scale."""
    head, units = make_head(output, LEVELS), _units()
    raw = _raw(head.size)
    target = torch.from_numpy(np.random.default_rng(3).poisson(20, size=(3, 6)).astype(float))
    expected = -_in_data_units(output, raw, units).log_prob(target)
    if output != "negative_binomial":
        expected = expected - torch.log(units.scale)
    torch.testing.assert_close(head.loss(raw, target, units).double(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("output", DISTRIBUTIONS)
def test_samples_and_quantiles_are_of_the_same_distribution(output):
    head, units = make_head(output, LEVELS), _units()
    raw = _raw(head.size)
    expected = _in_data_units(output, raw, units)
    samples = torch.stack([head.sample(raw, units) for _ in range(4000)])
    # Five standard errors: a false alarm in a million, and the seed is fixed.
    error = (samples.mean(0) - expected.mean).abs() / (expected.stddev / 4000**0.5)
    assert (error[expected.stddev.isfinite()] < 6).all()
    quantiles = head.quantiles(raw, LEVELS, units, 4000)
    assert (quantiles.diff(dim=-1) >= 0).all()
    for k, level in enumerate(LEVELS):
        below = (samples < quantiles[..., k]).double().mean(0)
        upto = (samples <= quantiles[..., k]).double().mean(0)
        assert (below < level + 0.06).all()
        assert (upto > level - 0.06).all()


@given(st.integers(0, 100), st.floats(-50, 50))
def test_the_mean_of_a_negative_binomial_is_positive_and_its_variance_as_stated(seed, centre):
    head, units = make_head("negative_binomial", LEVELS), _units(seed)
    assert isinstance(head, DistributionHead)
    raw = _raw(2, seed=seed)
    raw[..., 0] += centre
    found = head.distribution(raw, units)
    assert (found.mean > 0).all()
    dispersion = softplus(raw[..., 1]) + 1e-4
    torch.testing.assert_close(found.variance, found.mean + dispersion * found.mean**2, rtol=1e-3, atol=1e-4)
    high = units.location + units.scale * raw[..., 0] > 20 * units.scale
    torch.testing.assert_close(found.mean.double()[high], units.invert(raw[..., 0])[high], rtol=1e-3, atol=1e-3)


@given(st.integers(1, 30), st.sets(st.floats(0.01, 0.99), min_size=1, max_size=4), st.integers(0, 99))
def test_sample_quantiles_are_numpys(count, levels, seed):
    samples = np.random.default_rng(seed).normal(size=(2, 3, count))
    levels = tuple(sorted(levels))
    expected = np.moveaxis(np.quantile(samples, levels, axis=-1), 0, -1)
    torch.testing.assert_close(sample_quantiles(torch.from_numpy(samples), levels), torch.from_numpy(expected))


@pytest.mark.parametrize("output", ["quantiles", *DISTRIBUTIONS])
@pytest.mark.parametrize("target", [0.0, 3.0, 1e9])
def test_gradients_are_finite_for_extreme_outputs_and_targets(output, target):
    head, units = make_head(output, LEVELS), _units()
    for value in (-60.0, 0.0, 60.0):
        raw = torch.full((3, 2, head.size), value, requires_grad=True)
        loss = head.loss(raw, torch.full((3, 2), target).double(), units)
        (gradient,) = torch.autograd.grad(loss.sum(), raw)
        assert loss.isfinite().all()
        assert gradient.isfinite().all()


def test_an_unknown_output_is_refused():
    with pytest.raises(ParameterError, match="output: expected one of quantiles"):
        make_head("gaussian", LEVELS)
