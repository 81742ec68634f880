import math
from typing import Any, cast

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from recurra.errors import ParameterError, ShapeError
from recurra.models.baselines.memoryless_points import fit_memoryless_points
from recurra.models.pen_mixture import PenMixture, mixture_size, pen_mixture, raw_outputs

SMALLEST = 1e-3


def made(mixtures: int = 3, *shape: int, spread: float = 1.0) -> Tensor:
    return spread * torch.randn(*shape, mixture_size(mixtures), dtype=torch.float64)


def test_the_density_is_that_of_scipy() -> None:
    density = pen_mixture(made(3), SMALLEST)
    points = torch.randn(7, 2, dtype=torch.float64)
    expected, gaussian = np.zeros(7), cast(Any, stats.multivariate_normal)
    for k in range(3):
        deviation, rho = density.log_deviation[k].exp().numpy(), math.tanh(float(density.shear[k]))
        covariance = np.outer(deviation, deviation) * np.array([[1, rho], [rho, 1]])
        component = gaussian(density.mean[k].numpy(), covariance)
        expected += math.exp(float(density.log_weights[k])) * component.pdf(points.numpy())
    np.testing.assert_allclose(density.log_density(points).exp().numpy(), expected)
    assert density.log_pen.exp().sum().item() == pytest.approx(1)


def test_the_gradient_is_the_derivative() -> None:
    raw = made(2, 3).requires_grad_()
    offset = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    pen = torch.tensor([0, 1, 2])

    def surprise(raw: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
        density = pen_mixture(raw, SMALLEST)
        return density.log_density(offset), density.log_probability(pen)

    assert torch.autograd.gradcheck(surprise, (raw, offset))
    assert torch.autograd.gradgradcheck(surprise, (raw, offset))


@pytest.mark.parametrize("spread", [1e2, 1e4])
def test_no_value_overflows(spread: float) -> None:
    raw = made(5, 50, spread=spread).float().requires_grad_()
    density = pen_mixture(raw, SMALLEST)
    pen = torch.randint(3, (50,))
    total = density.log_density(torch.randn(50, 2)).sum() + density.log_probability(pen).sum()
    total.backward()
    assert total.isfinite()
    assert raw.grad is not None
    assert raw.grad.isfinite().all()
    # A deviation of nothing is the smallest, and a correlation of nearly 1 is one.
    assert density.log_deviation.min().item() == pytest.approx(math.log(SMALLEST), rel=1e-5)
    assert density.shear.abs().max() <= 4


def test_near_a_correlation_of_one_the_float32_density_has_the_digits_of_float64() -> None:
    raw = made(1, 200)
    raw[:, -1] = 8.0
    offset = torch.randn(200, 1, dtype=torch.float64) * torch.ones(2, dtype=torch.float64)
    exact = pen_mixture(raw, SMALLEST).log_density(offset)
    torch.testing.assert_close(
        pen_mixture(raw.float(), SMALLEST).log_density(offset.float()).double(), exact, rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize("temperature", [1.0, 0.4, 2.0])
def test_samples_have_the_density(temperature: float) -> None:
    """The transformation of Rosenblatt: F(x) and F(y | x) of samples are uniform and independent."""
    density = pen_mixture(made(3), SMALLEST).at_temperature(temperature)
    count = 20_000
    generator = torch.Generator().manual_seed(1)
    uniform = torch.rand(count, 2, generator=generator, dtype=torch.float64)
    normal = torch.randn(count, 2, generator=generator, dtype=torch.float64)
    many = PenMixture(*(part.expand(count, *part.shape) for part in density))
    offset, pen = many.sample(uniform, normal)
    x, y = offset.numpy().T
    weights, mean = density.log_weights.exp().numpy(), density.mean.numpy()
    deviation, rho = density.log_deviation.exp().numpy(), density.shear.tanh().numpy()
    by_x = weights * stats.norm.pdf(x[:, None], mean[:, 0], deviation[:, 0])
    along = mean[:, 1] + rho * deviation[:, 1] / deviation[:, 0] * (x[:, None] - mean[:, 0])
    of_x = (weights * stats.norm.cdf(x[:, None], mean[:, 0], deviation[:, 0])).sum(1)
    below = stats.norm.cdf(y[:, None], along, deviation[:, 1] * np.sqrt(1 - rho**2))
    of_y = (by_x * below).sum(1) / by_x.sum(1)
    assert stats.kstest(of_x, "uniform").pvalue > 1e-3
    assert stats.kstest(of_y, "uniform").pvalue > 1e-3
    table = np.histogram2d(of_x, of_y, bins=8, range=[[0, 1], [0, 1]])[0]
    assert stats.chisquare(table.ravel()).pvalue > 1e-3
    counts = np.bincount(pen.numpy(), minlength=3)
    assert stats.chisquare(counts, count * density.log_pen.exp().numpy()).pvalue > 1e-3


def test_a_temperature_divides_log_probabilities_and_multiplies_variances() -> None:
    density = pen_mixture(made(3), SMALLEST)
    cold = density.at_temperature(0.25)
    torch.testing.assert_close(cold.log_deviation.exp(), density.log_deviation.exp() / 2)
    torch.testing.assert_close(cold.log_pen.diff(), 4 * density.log_pen.diff())
    torch.testing.assert_close(cold.log_weights.diff(), 4 * density.log_weights.diff())
    with pytest.raises(ParameterError, match="temperature"):
        density.at_temperature(0.0)
    with pytest.raises(ShapeError, match="raw"):
        pen_mixture(torch.zeros(10), SMALLEST)


def test_a_bias_is_temperatures_of_components_and_of_variances() -> None:
    density = pen_mixture(made(3), SMALLEST)
    sharp = density.sharpened(1.5)
    torch.testing.assert_close(sharp.log_weights, density.at_temperature(1 / 2.5).log_weights)
    torch.testing.assert_close(sharp.log_deviation, density.at_temperature(math.exp(-3)).log_deviation)
    assert torch.equal(sharp.log_pen, density.log_pen)
    for one, same in zip(density.sharpened(0.0), density.at_temperature(1.0), strict=True):
        torch.testing.assert_close(one, same)
    with pytest.raises(ParameterError, match="bias"):
        density.sharpened(-0.1)


def test_raw_outputs_are_those_of_the_mixture() -> None:
    covariances = np.array([[[1.0, 0.5], [0.5, 2.0]], [[0.04, 0.0], [0.0, 0.09]]])
    weights, means, pen = np.array([0.3, 0.7]), np.array([[0.0, 1.0], [2.0, 3.0]]), np.array([0.5, 0.3, 0.2])
    density = pen_mixture(raw_outputs(weights, means, covariances, pen, SMALLEST), SMALLEST)
    np.testing.assert_allclose(density.log_weights.exp(), weights, rtol=1e-5)
    np.testing.assert_allclose(density.mean, means, rtol=1e-5)
    np.testing.assert_allclose(density.log_deviation.exp(), [[1, math.sqrt(2)], [0.2, 0.3]], rtol=1e-5)
    np.testing.assert_allclose(density.shear.tanh(), [0.5 / math.sqrt(2), 0], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(density.log_pen.exp(), pen, rtol=1e-5)


def test_a_mixture_without_memory_finds_clusters_and_the_pen() -> None:
    generator = np.random.default_rng(0)
    # While the pen is down, points go right or up; after it was lifted, far to the left.
    strokes = []
    for _ in range(200):
        lifted = (np.arange(10) % 5 == 4).astype(float)
        offsets = np.where(generator.random((10, 1)) < 0.5, [[1.0, 0.0]], [[0.0, 1.0]])
        offsets[np.flatnonzero(lifted[:-1]) + 1] = [-8.0, 0.0]
        strokes.append(np.column_stack([offsets + 0.05 * generator.standard_normal((10, 2)), lifted]))
    fitted = fit_memoryless_points([one.astype(np.float32) for one in strokes], SMALLEST)
    down, lifted = (fitted.density(torch.tensor(state)) for state in (0, 1))
    # Fresh points have nearly the log density that they have under what they were sampled from.
    best = -1 - math.log(2 * math.pi * 0.05**2)
    for density, centres in ((down, [[1.0, 0.0], [0.0, 1.0]]), (lifted, [[-8.0, 0.0]])):
        fresh = torch.tensor(
            np.repeat(centres, 500, axis=0) + 0.05 * generator.standard_normal((500 * len(centres), 2))
        )
        expected = best - math.log(len(centres))
        assert float(density.log_density(fresh).mean()) == pytest.approx(expected, abs=0.25)
    # Of 11 states that follow a pen that is down 2 in 9 lift it; half the lifted pens have ended the drawing.
    np.testing.assert_allclose(down.log_pen.exp(), [7 / 9, 2 / 9, 0], atol=0.01)
    np.testing.assert_allclose(lifted.log_pen.exp(), [0.5, 0, 0.5], atol=0.01)


def test_a_component_that_loses_its_points_keeps_its_width() -> None:
    generator = np.random.default_rng(2)
    centres = generator.integers(-20, 21, size=(3, 2)) / 10 + 3
    offsets = centres[generator.integers(0, 3, 2000)]
    offsets = offsets + 0.1 * generator.integers(-1, 2, size=(2000, 2)) * (generator.random((2000, 1)) < 0.2)
    strokes = np.column_stack([offsets, np.zeros(2000)]).astype(np.float32)
    fitted = fit_memoryless_points([strokes], SMALLEST)
    assert torch.isfinite(fitted.raw).all()
    density = fitted.density(torch.tensor(0))
    assert float(density.log_density(torch.from_numpy(offsets)).mean()) > 0  # far narrower than one normal density
