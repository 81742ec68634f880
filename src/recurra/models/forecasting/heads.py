"""What the outputs of a network mean at each step: quantiles, or the parameters of a distribution.

Every head reads raw outputs (B, T, size) in normalised units, the first of which is the centre of the forecast.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.distributions import Distribution, NegativeBinomial, Normal, StudentT
from torch.nn.functional import softplus

from recurra.errors import ParameterError
from recurra.models.forecasting.normalization import Normalization

__all__ = ["Head", "make_head", "sample_quantiles"]

# A target this many seasonal changes away says no more than that it is extreme. A very regular series strays by
# hundreds of them from its mean every season: the limit must lie well beyond.
_CLIP = 1000.0


class Head(ABC):
    """Turns raw outputs into a loss, quantiles or samples."""

    size: int

    @abstractmethod
    def loss(self, raw: Tensor, target: Tensor, units: Normalization) -> Tensor:
        """The loss of each step (B, T); targets (B, T) in the data's units, without NaN."""

    @abstractmethod
    def quantiles(self, raw: Tensor, levels: tuple[float, ...], units: Normalization, samples: int) -> Tensor:
        """Quantiles (B, T, Q) in the data's units, increasing along Q."""

    @abstractmethod
    def sample(self, raw: Tensor, units: Normalization) -> Tensor:
        """One sample of each step, (B, T) in the data's units, from torch's generator."""


class QuantileHead(Head):
    """The median, and increments from it outward, so that quantiles cannot cross; pinball loss.

    The loss is a mean of two: in units of the window's seasonal change (as MASE counts errors) and in units of its
    level (as percentage errors and the weighted quantile loss count them, times ten to be of the same order).

    Args:
        levels: increasing, with 0.5 among them.
    """

    def __init__(self, levels: tuple[float, ...]) -> None:
        self.size = len(levels)
        self._levels = levels
        self._middle = levels.index(0.5)

    def _values(self, raw: Tensor) -> Tensor:
        median = raw[..., :1]
        steps = softplus(raw[..., 1:])
        below = median - steps[..., : self._middle].cumsum(-1).flip(-1)
        above = median + steps[..., self._middle :].cumsum(-1)
        return torch.cat([below, median, above], dim=-1)

    def loss(self, raw: Tensor, target: Tensor, units: Normalization) -> Tensor:
        z = units.apply(target).clamp(-_CLIP, _CLIP).to(raw.dtype)
        levels = torch.tensor(self._levels, dtype=raw.dtype, device=raw.device)
        error = z.unsqueeze(-1) - self._values(raw)
        fraction = units.scale / (units.level + units.scale)
        weight = (0.5 + 5 * fraction).to(raw.dtype)
        return weight * 2 * torch.maximum(levels * error, (levels - 1) * error).mean(-1)

    def quantiles(self, raw: Tensor, levels: tuple[float, ...], units: Normalization, samples: int) -> Tensor:
        if levels != self._levels:
            raise ParameterError("quantiles", f"the levels trained, {self._levels}", levels)
        return units.invert(self._values(raw))

    def sample(self, raw: Tensor, units: Normalization) -> Tensor:
        raise NotImplementedError("quantiles have no distribution to sample from")


class DistributionHead(Head):
    """Maximum likelihood of a distribution; quantiles from samples if a distribution has no closed form."""

    @abstractmethod
    def distribution(self, raw: Tensor, units: Normalization) -> Distribution:
        """The distribution of each step, in the units `to_data` inverts."""

    def to_model(self, target: Tensor, units: Normalization) -> Tensor:
        """Data's units to the distribution's."""
        return units.apply(target).clamp(-_CLIP, _CLIP)

    def to_data(self, values: Tensor, units: Normalization) -> Tensor:
        """The distribution's units to the data's."""
        return units.invert(values)

    def loss(self, raw: Tensor, target: Tensor, units: Normalization) -> Tensor:
        return -self.distribution(raw, units).log_prob(self.to_model(target, units).to(raw.dtype))

    def quantiles(self, raw: Tensor, levels: tuple[float, ...], units: Normalization, samples: int) -> Tensor:
        sampled = self.distribution(raw, units).sample(torch.Size([samples]))
        return sample_quantiles(self.to_data(sampled.movedim(0, -1), units), levels)

    def sample(self, raw: Tensor, units: Normalization) -> Tensor:
        return self.to_data(self.distribution(raw, units).sample(), units)


class NormalHead(DistributionHead):
    """Location and scale of a normal distribution."""

    size = 2

    def distribution(self, raw: Tensor, units: Normalization) -> Distribution:
        return Normal(raw[..., 0], softplus(raw[..., 1]) + 1e-3)

    def quantiles(self, raw: Tensor, levels: tuple[float, ...], units: Normalization, samples: int) -> Tensor:
        probabilities = torch.tensor(levels, dtype=raw.dtype, device=raw.device)
        location, scale = raw[..., :1], softplus(raw[..., 1:2]) + 1e-3
        return units.invert(location + scale * torch.special.ndtri(probabilities))


class StudentTHead(DistributionHead):
    """Location, scale and degrees of freedom (more than 2) of Student's t."""

    size = 3

    def distribution(self, raw: Tensor, units: Normalization) -> Distribution:
        return StudentT(2 + softplus(raw[..., 2]) + 1e-3, raw[..., 0], softplus(raw[..., 1]) + 1e-3)


class NegativeBinomialHead(DistributionHead):
    """Mean and dispersion of counts (Salinas et al. 2020, section 3.1): variance = mean + dispersion mean^2."""

    size = 2

    def distribution(self, raw: Tensor, units: Normalization) -> Distribution:
        scale = units.scale.to(raw.dtype)
        # Positive, and equal to the normalised centre taken back to counts wherever that is well above zero.
        mean = softplus(units.location.to(raw.dtype) / scale + raw[..., 0]) * scale + 1e-4
        dispersion = softplus(raw[..., 1]) + 1e-4
        return NegativeBinomial(1 / dispersion, logits=torch.log(mean * dispersion))

    def to_model(self, target: Tensor, units: Normalization) -> Tensor:
        return target

    def to_data(self, values: Tensor, units: Normalization) -> Tensor:
        return values.double()


def make_head(output: str, levels: tuple[float, ...]) -> Head:
    """The head of that output.

    Raises:
        ParameterError: for an unknown output.
    """
    match output:
        case "quantiles":
            return QuantileHead(levels)
        case "normal":
            return NormalHead()
        case "student_t":
            return StudentTHead()
        case "negative_binomial":
            return NegativeBinomialHead()
    raise ParameterError("output", "one of quantiles, normal, student_t, negative_binomial", output)


def sample_quantiles(samples: Tensor, levels: tuple[float, ...]) -> Tensor:
    """Empirical quantiles (..., Q) of samples (..., N)."""
    probabilities = torch.tensor(levels, dtype=samples.dtype, device=samples.device)
    ordered = samples.sort(dim=-1).values
    position = probabilities * (samples.shape[-1] - 1)
    low = position.floor().long()
    high = (low + 1).clamp(max=samples.shape[-1] - 1)
    return torch.lerp(ordered[..., low], ordered[..., high], position - low)
