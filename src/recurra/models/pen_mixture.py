"""The density of the next point of a drawing: a mixture of normal densities, and what the pen does."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import log_softmax, softmax

from recurra.errors import ParameterError, ShapeError

__all__ = ["PEN_STATES", "PenMixture", "mixture_size", "pen_mixture", "raw_outputs"]

PEN_STATES = 3
"""After a point the pen stays down (0), is lifted (1), or the drawing ended before it (2)."""

_PER_COMPONENT = 6
# Of the area hyperbolic tangent of a correlation, which is then at most 0.99933.
_MOST_SHEAR = 4.0
_LOG_2_PI = math.log(2 * math.pi)


class PenMixture(NamedTuple):
    """A mixture of M bivariate normal densities of an offset, and the pen's probabilities (Graves 2013, eq. 23-25).

    A correlation is tanh of a shear s, which gives a form without differences of near numbers: with z the offset in
    deviations from the mean, the exponent is -(z_x^2 + cosh^2 s (z_y - tanh s z_x)^2) / 2.

    Attributes:
        log_weights: log probabilities of the components (..., M).
        mean: (..., M, 2).
        log_deviation: log standard deviations (..., M, 2).
        shear: (..., M).
        log_pen: log probabilities of the pen's states (..., 3).
    """

    log_weights: Tensor
    mean: Tensor
    log_deviation: Tensor
    shear: Tensor
    log_pen: Tensor

    def log_density(self, offset: Tensor) -> Tensor:
        """The log density of offsets (..., 2), in nats: (...)."""
        z_x, z_y = ((offset.unsqueeze(-2) - self.mean) * (-self.log_deviation).exp()).unbind(-1)
        exponent = z_x.square() + ((z_y - self.shear.tanh() * z_x) * self.shear.cosh()).square()
        log_area = _LOG_2_PI + self.log_deviation.sum(-1) - self.shear.cosh().log()
        return torch.logsumexp(self.log_weights - log_area - exponent / 2, dim=-1)

    def log_probability(self, pen: Tensor) -> Tensor:
        """The log probability of states of the pen (...), in nats: (...)."""
        return self.log_pen.gather(-1, pen.unsqueeze(-1)).squeeze(-1)

    def at_temperature(self, temperature: float) -> "PenMixture":
        """The mixture from which a drawing of a temperature is sampled (Ha and Eck 2018, eq. 8).

        Log probabilities are divided by the temperature, and variances multiplied by it.

        Raises:
            ParameterError: the temperature is not above 0.
        """
        if not 0 < temperature < math.inf:
            raise ParameterError("temperature", "a number above 0", temperature)
        return PenMixture(
            log_softmax(self.log_weights / temperature, -1),
            self.mean,
            self.log_deviation + math.log(temperature) / 2,
            self.shear,
            log_softmax(self.log_pen / temperature, -1),
        )

    def sharpened(self, bias: float) -> "PenMixture":
        """The mixture from which handwriting of a bias is sampled (Graves 2013, equations 61 and 62).

        Log probabilities of components are multiplied by 1 + b, and standard deviations by exp(-b). The components are
        those of the temperature 1 / (1 + b), and the variances those of the temperature exp(-2 b); the pen's
        probabilities do not change. A bias of 0 is a temperature of 1.

        Raises:
            ParameterError: the bias is below 0.
        """
        if not 0 <= bias < math.inf:
            raise ParameterError("bias", "a number of at least 0", bias)
        return self._replace(
            log_weights=log_softmax(self.log_weights * (1 + bias), -1), log_deviation=self.log_deviation - bias
        )

    def sample(self, uniform: Tensor, normal: Tensor) -> tuple[Tensor, Tensor]:
        """A sample of each density.

        Args:
            uniform: numbers uniform in [0, 1), (..., 2): they choose the component and the pen's state.
            normal: standard normal numbers (..., 2).

        Returns:
            Offsets (..., 2), and states of the pen (...) int64.
        """
        component = _chosen(self.log_weights, uniform[..., 0])[..., None]
        mean, log_deviation = (
            one.gather(-2, component.unsqueeze(-1).expand(*component.shape, 2)).squeeze(-2)
            for one in (self.mean, self.log_deviation)
        )
        shear = self.shear.gather(-1, component).squeeze(-1)
        z_x = normal[..., 0]
        z_y = shear.tanh() * z_x + normal[..., 1] / shear.cosh()
        return mean + log_deviation.exp() * torch.stack([z_x, z_y], dim=-1), _chosen(self.log_pen, uniform[..., 1])


def mixture_size(mixtures: int) -> int:
    """The raw outputs of a mixture of so many components."""
    return _PER_COMPONENT * mixtures + PEN_STATES


def pen_mixture(raw: Tensor, smallest_deviation: float) -> PenMixture:
    """The mixture that raw outputs stand for.

    Args:
        raw: (..., 6 M + 3), of any size: no value overflows.
        smallest_deviation: added to every standard deviation. Offsets that were rounded by a file have a density
            without a bound if a deviation can fall to 0.

    Raises:
        ShapeError: the number of raw outputs is not that of a mixture.
    """
    mixtures, rest = divmod(raw.shape[-1] - PEN_STATES, _PER_COMPONENT)
    if rest or mixtures < 1:
        raise ShapeError("raw", "6 M + 3 outputs for M of at least 1", raw.shape[-1])
    pen, weights, mean, deviation, shear = raw.split([PEN_STATES, mixtures, 2 * mixtures, 2 * mixtures, mixtures], -1)
    log_deviation = torch.logaddexp(deviation, deviation.new_tensor(smallest_deviation).log())
    return PenMixture(
        log_softmax(weights, -1),
        mean.unflatten(-1, (mixtures, 2)),
        log_deviation.unflatten(-1, (mixtures, 2)),
        _MOST_SHEAR * (shear / _MOST_SHEAR).tanh(),
        log_softmax(pen, -1),
    )


def raw_outputs(
    weights: np.ndarray, means: np.ndarray, covariances: np.ndarray, pen: np.ndarray, smallest_deviation: float
) -> Tensor:
    """The raw outputs (6 M + 3,) float32 of which `pen_mixture` makes a mixture.

    Args:
        weights: probabilities of the components (M,).
        means: (M, 2).
        covariances: (M, 2, 2). Deviations below `smallest_deviation`, and correlations nearer to 1 than a mixture can
            have, become the nearest that it can.
        pen: probabilities of the pen's states (3,).
        smallest_deviation: see `pen_mixture`.
    """
    deviations = np.sqrt(np.diagonal(covariances, axis1=1, axis2=2))
    correlations = covariances[:, 0, 1] / deviations.prod(axis=1)
    most = math.tanh(_MOST_SHEAR) * (1 - 1e-6)
    shear = np.arctanh(correlations.clip(-most, most)) / _MOST_SHEAR
    above = np.log((deviations - smallest_deviation).clip(min=1e-6 * smallest_deviation))
    parts = [
        np.log(pen),
        np.log(weights),
        means.ravel(),
        above.ravel(),
        _MOST_SHEAR * np.arctanh(shear.clip(-0.99, 0.99)),
    ]
    return torch.from_numpy(np.concatenate(parts)).float()


def _chosen(log_probabilities: Tensor, uniform: Tensor) -> Tensor:
    """The index (...) that a number uniform in [0, 1) chooses from log probabilities (..., N)."""
    summed = softmax(log_probabilities, -1).cumsum(-1)
    chosen = (summed <= uniform.unsqueeze(-1) * summed[..., -1:]).sum(-1)
    return chosen.clamp(max=log_probabilities.shape[-1] - 1)
