"""Gradient clipping: by a fixed limit, by the size of the weights, or by what the norm has been so far."""

import math
from collections import deque
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_value_, clip_grads_with_norm_, get_total_norm

from recurra.training.settings import TrainingSettings

__all__ = ["Clipped", "Clipping", "make_clipping"]


class Clipped(NamedTuple):
    """The result of clipping.

    Attributes:
        norm: of all gradients together before clipping, 0-dim; NaN or infinite if a gradient is.
        clipped: whether any gradient was made smaller; a 0-dim bool tensor where it is not known on the host.
    """

    norm: Tensor
    clipped: bool | Tensor


class Clipping:
    """Clips gradients in place; this one only measures them.

    Gradients whose norm is not finite are left as they are, for whoever looks for the cause, and leave no trace in
    the running statistics.
    """

    def __call__(self, parameters: list[nn.Parameter]) -> Clipped:
        """Clip the gradients of these parameters, those without one passed over."""
        norm = _total_norm([parameter.grad for parameter in parameters if parameter.grad is not None])
        return Clipped(norm, self._clip(parameters, norm))

    def state_dict(self) -> dict[str, Any]:
        """The running statistics, as JSON can hold them."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned."""

    def _clip(self, parameters: list[nn.Parameter], norm: Tensor) -> bool | Tensor:
        return False


class NormClipping(Clipping):
    """Scales all gradients down together to a global norm (Pascanu et al. 2013, algorithm 1).

    Args:
        max_norm: positive.
    """

    def __init__(self, max_norm: float) -> None:
        self._max_norm = max_norm

    def _clip(self, parameters: list[nn.Parameter], norm: Tensor) -> bool | Tensor:
        clipped = norm.isfinite() & (norm > self._max_norm)
        if norm.device.type == "cpu":
            if clipped:
                clip_grads_with_norm_(parameters, self._max_norm, norm)
            return bool(clipped)
        # Elsewhere reading `clipped` would wait for the device. A norm taken for 0 leaves the gradients as they are.
        clip_grads_with_norm_(parameters, self._max_norm, torch.where(clipped, norm, 0.0))
        return clipped


class ValueClipping(Clipping):
    """Cuts each gradient to [-max_value, max_value], element by element.

    Args:
        max_value: positive.
    """

    def __init__(self, max_value: float) -> None:
        self._max_value = max_value

    def _clip(self, parameters: list[nn.Parameter], norm: Tensor) -> bool | Tensor:
        if not self._max_value < norm.item() < math.inf:
            return False  # no element is larger than the norm
        largest = get_total_norm([parameter.grad for parameter in parameters if parameter.grad is not None], math.inf)
        clip_grad_value_(parameters, self._max_value)
        return largest > self._max_value


class AdaptiveClipping(Clipping):
    """Adaptive gradient clipping, AGC (Brock et al. 2021, equation 3).

    The gradient of each unit, a row of a matrix, is scaled down to `factor` times the norm of its weights, which count
    as `eps` where they are smaller. A vector (a bias, the weights of a diagonal recurrence) is one unit, as in the
    authors' code; no layer is skipped.

    Args:
        factor: lambda, positive.
        eps: positive.
    """

    def __init__(self, factor: float, eps: float = 1e-3) -> None:
        self._factor = factor
        self._eps = eps

    @torch.no_grad()
    def _clip(self, parameters: list[nn.Parameter], norm: Tensor) -> bool | Tensor:
        if not norm.isfinite():
            return False
        clipped = []
        for parameter in parameters:
            if parameter.grad is not None:
                limits = _unit_norms(parameter).clamp(min=self._eps) * self._factor
                norms = _unit_norms(parameter.grad)
                above = norms > limits
                parameter.grad.mul_(torch.where(above, limits / norms, 1.0))
                clipped.append(above.any().to(norm.device))
        return torch.stack(clipped).any() if clipped else False


class PercentileClipping(Clipping):
    """AutoClip (Seetharaman et al. 2020): to a percentile of the norms so far, that of this step among them.

    Of the norms the last `window` count, where the paper takes all: those of the beginning are often far larger, and
    a checkpoint should not grow with the run. A norm of 0 does not count, as clipping to it would end training.

    Args:
        percentile: 0 to 100, linearly interpolated.
        window: norms in memory, at least 1.
    """

    def __init__(self, percentile: float, window: int = 1000) -> None:
        self._percentile = percentile
        self._norms: deque[float] = deque(maxlen=window)

    def state_dict(self) -> dict[str, Any]:
        return {"norms": list(self._norms)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._norms.clear()
        self._norms.extend(state["norms"])

    def _clip(self, parameters: list[nn.Parameter], norm: Tensor) -> bool | Tensor:
        value = norm.item()
        if not 0 < value < math.inf:
            return False
        self._norms.append(value)
        limit = float(np.percentile(self._norms, self._percentile))
        if value > limit:
            clip_grads_with_norm_(parameters, limit, norm)
        return value > limit


class ZScoreClipping(Clipping):
    """ZClip (Kumar et al. 2025): spikes of the norm g are scaled down to less than a spike.

    With the running mean m and standard deviation s of the norm, z = (g - m) / (s + 1e-6). Where z > threshold the
    gradients are scaled to the norm m + s * threshold^2 / z, so that a larger spike is cut to less. The mean and then
    the variance are moving averages with decay `alpha` of the norm after clipping. They begin as those of the first
    `warmup_steps` norms, which are not clipped. A norm of 0 does not count: from zeros alone no norm could rise.

    Args:
        threshold: positive.
        alpha: in [0, 1).
        warmup_steps: at least 1.
    """

    def __init__(self, threshold: float, alpha: float = 0.97, warmup_steps: int = 25) -> None:
        self._threshold = threshold
        self._alpha = alpha
        self._warmup_steps = warmup_steps
        self._first: list[float] = []
        self._mean = 0.0
        self._variance = 0.0

    def state_dict(self) -> dict[str, Any]:
        return {"first": list(self._first), "mean": self._mean, "variance": self._variance}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._first = list(state["first"])
        self._mean, self._variance = state["mean"], state["variance"]

    def _clip(self, parameters: list[nn.Parameter], norm: Tensor) -> bool | Tensor:
        value = norm.item()
        if not 0 < value < math.inf:
            return False
        if len(self._first) < self._warmup_steps:
            self._first.append(value)
            self._mean, self._variance = float(np.mean(self._first)), float(np.var(self._first))
            return False
        deviation = math.sqrt(self._variance)
        z = (value - self._mean) / (deviation + 1e-6)
        spike = z > self._threshold
        if spike:
            value = self._mean + deviation * self._threshold**2 / z
            clip_grads_with_norm_(parameters, value, norm)
        self._mean = self._alpha * self._mean + (1 - self._alpha) * value
        self._variance = self._alpha * self._variance + (1 - self._alpha) * (value - self._mean) ** 2
        return spike


def make_clipping(settings: TrainingSettings) -> Clipping:
    """The clipping that the settings name; for "norm" with `max_grad_norm` 0, one that only measures."""
    match settings.clipping:
        case "norm" if settings.max_grad_norm:
            return NormClipping(settings.max_grad_norm)
        case "value":
            return ValueClipping(settings.clip_value)
        case "adaptive":
            return AdaptiveClipping(settings.clip_factor)
        case "percentile":
            return PercentileClipping(settings.clip_percentile)
        case "zscore":
            return ZScoreClipping(settings.clip_zscore)
    return Clipping()


def _total_norm(grads: list[Tensor]) -> Tensor:
    """As torch's `get_total_norm`, which takes twice as long on a CPU."""
    if not grads or grads[0].device.type != "cpu":
        return get_total_norm(grads)
    return torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(grad) for grad in grads]))


def _unit_norms(tensor: Tensor) -> Tensor:
    """The norm of each row of a matrix, or of all of a vector, in a shape that multiplies the tensor."""
    if tensor.squeeze().ndim <= 1:
        return torch.linalg.vector_norm(tensor)
    return torch.linalg.vector_norm(tensor, dim=tuple(range(1, tensor.ndim)), keepdim=True)
