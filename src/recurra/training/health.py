"""The health of gradients, by parameter: their norms, and how far a step moves the weights."""

import logging
import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Health", "ParameterHealth", "layer_of", "not_finite"]

_log = logging.getLogger("recurra.training")
_SUFFIX = re.compile(r"_l(\d+)(_reverse)?$")
_PATIENCE = 5
_VANISHED = 1e-5
_EXPLODED = 100.0  # times the running mean
_EXPLODED_OF_HIGHEST = 10.0  # times the highest running mean
_LEAST_EXPLODED = 10.0
_SMOOTHING = 0.9

_FOR_VANISHING = (
    "Try gated cells (LSTM, GRU), a forget-gate bias of 1 or chrono initialisation, orthogonal recurrent weights, a "
    "shorter way to the loss (fewer layers, a loss at more steps), or layer normalisation"
)
_FOR_EXPLODING = (
    "Try a lower learning_rate, a lower max_grad_norm or clipping='zscore', warmup_steps, orthogonal recurrent "
    "weights, or a shorter truncation_length"
)


@dataclass(frozen=True)
class ParameterHealth:
    """The figures of one parameter at one step.

    Attributes:
        layer: its module's name, with the index of the layer and the direction in a recurrent stack.
        parameter: its full name.
        grad_norm: of its gradient, before clipping.
        weight_norm: of its values, before the step.
        update_ratio: the norm of what the step added, over `weight_norm`; NaN if that is 0.
    """

    layer: str
    parameter: str
    grad_norm: float
    weight_norm: float
    update_ratio: float


class Health:
    """Looks at gradients and weights every so many steps, and warns of layers whose gradient vanishes or explodes.

    A layer's gradient has vanished if the root mean square of each of its parameters' gradients has been below
    1e-5 times the median over all parameters, five looks in a row. It explodes if its norm is above a hundred times its
    own running mean, above ten times the highest running mean of the run, and above 10: near a loss of zero the mean is
    tiny, and spikes that are large beside it alone do no harm. Each warning is logged once a layer.

    Args:
        module: that trains.
        every: steps between looks; 0 for never.
    """

    def __init__(self, module: nn.Module, every: int) -> None:
        self._every = every
        self._names = [name for name, parameter in module.named_parameters() if parameter.requires_grad]
        self._layers = [layer_of(name) for name in self._names]
        self._parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        self._roots = [math.sqrt(parameter.numel()) for parameter in self._parameters]
        self._grad_norms: list[float] = []
        self._before: list[Tensor] = []
        self._means: dict[str, float] = {}
        self._highest: dict[str, float] = {}
        self._looks: Counter[str] = Counter()
        self._warned: set[str] = set()

    def is_due(self, step: int) -> bool:
        """Whether a step is to be looked at."""
        return self._every > 0 and (step % self._every == 0 or step == 1)

    @torch.no_grad()
    def see_gradients(self) -> None:
        """Look at the gradients as the loss left them."""
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in self._parameters]
        self._grad_norms = _norms(grads)

    @torch.no_grad()
    def see_weights(self) -> None:
        """Copy the weights before the optimiser's step."""
        self._before = [parameter.detach().clone() for parameter in self._parameters]

    @torch.no_grad()
    def figures(self, step: int) -> list[ParameterHealth]:
        """The figures of the step, after the optimiser's; logs the warnings they call for."""
        weights = _norms(self._before)
        moved = _norms([after - before for after, before in zip(self._parameters, self._before, strict=True)])
        self._before = []
        self._warn(step)
        ratios = [change / norm if norm else math.nan for change, norm in zip(moved, weights, strict=True)]
        columns = zip(self._layers, self._names, self._grad_norms, weights, ratios, strict=True)
        return [ParameterHealth(*row) for row in columns]

    def state_dict(self) -> dict[str, Any]:
        """What is to be saved, for JSON."""
        return {
            "means": self._means,
            "highest": self._highest,
            "looks": dict(self._looks),
            "warned": sorted(self._warned),
        }

    def load_state_dict(self, values: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        self._means, self._highest = dict(values["means"]), dict(values["highest"])
        self._looks = Counter(values["looks"])
        self._warned = set(values["warned"])

    def _warn(self, step: int) -> None:
        sizes = [norm / root for norm, root in zip(self._grad_norms, self._roots, strict=True)]
        middle = sorted(sizes)[len(sizes) // 2]
        largest: dict[str, float] = {}
        norms: dict[str, float] = {}
        for layer, size, norm in zip(self._layers, sizes, self._grad_norms, strict=True):
            largest[layer] = max(size, largest.get(layer, 0.0))
            norms[layer] = math.hypot(norm, norms.get(layer, 0.0))
        for layer, size in largest.items():
            self._looks[layer] = self._looks[layer] + 1 if size < _VANISHED * middle else 0
            if self._looks[layer] == _PATIENCE:
                self._warn_once(
                    f"vanishes {layer}",
                    f"step {step}: the gradient vanishes in {layer}: {size:.1e} a weight (root mean square), while the "
                    f"median parameter has {middle:.1e}, {_PATIENCE} looks in a row. {_FOR_VANISHING}.",
                )
        for layer, norm in norms.items():
            mean, highest = self._means.get(layer), self._highest.get(layer, 0.0)
            if mean and norm > max(_EXPLODED * mean, _EXPLODED_OF_HIGHEST * highest, _LEAST_EXPLODED):
                self._warn_once(
                    f"explodes {layer}",
                    f"step {step}: the gradient explodes in {layer}: its norm is {norm:.1e}, while {mean:.1e} was "
                    f"usual. {_FOR_EXPLODING}.",
                )
            self._means[layer] = norm if mean is None else _SMOOTHING * mean + (1 - _SMOOTHING) * norm
            self._highest[layer] = max(highest, self._means[layer])

    def _warn_once(self, what: str, message: str) -> None:
        if what not in self._warned:
            self._warned.add(what)
            _log.warning("%s", message)


def layer_of(parameter: str) -> str:
    """The layer of a parameter by its full name: `encoder.weight_hh_l1_reverse` is of `encoder layer 2 reverse`."""
    module, _, name = parameter.rpartition(".")
    match = _SUFFIX.search(name)
    layer = f"layer {int(match[1]) + 1}{' reverse' if match[2] else ''}" if match else ""
    return f"{module} {layer}".strip() or name


@torch.no_grad()
def not_finite(module: nn.Module) -> list[str]:
    """The full names of the parameters whose gradient has a value that is not finite."""
    graded = [(name, p.grad) for name, p in module.named_parameters() if p.grad is not None]
    return [name for name, grad in graded if not bool(torch.isfinite(grad).all())]


def _norms(tensors: list[Tensor]) -> list[float]:
    return torch.stack([torch.linalg.vector_norm(tensor).double() for tensor in tensors]).tolist()
