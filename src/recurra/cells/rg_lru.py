"""The real-gated linear recurrent unit."""

from dataclasses import dataclass

import torch
from torch import Tensor

from recurra.cells.cell import Cell, Gates, PerUnit, State
from recurra.ops import exp, maximum, sigmoid, softplus, sqrt

__all__ = ["RGLRU"]


def _first_decay(draws: Tensor) -> Tensor:
    """Such that a^8, the decay with an open gate, is uniform in 0.9 to 0.999 (section 2.4)."""
    # In single precision at least: in half, 0.999^(1/8) is 1, and nothing would ever decay.
    return torch.logit((0.9 + 0.099 * draws.float()) ** (1 / 8))


@dataclass(frozen=True)
class RGLRU(Cell):
    """Real-gated linear recurrent unit (De et al. 2024, Griffin, section 2.4).

    r = sigmoid(x_r)                        x_* = W_* x_t + b_*  (no recurrent weights)
    i = sigmoid(x_i)
    a = sigmoid(decay)^(8 r)                computed as exp(-8 r softplus(-decay))
    h = a h_{t-1} + sqrt(1 - a^2) i x_v

    In the paper x_v is the input of the layer itself, made by a linear layer before it: W_v here.
    """

    gates = ("r", "i", "v")
    state = ("h",)
    # No gate in keeps: how long a unit remembers is in decay, which r can only prolong.
    per_unit = ("decay",)
    initial = {"decay": _first_decay}  # noqa: RUF012
    recurrence = "none"

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        a = exp(-8.0 * sigmoid(x.r) * softplus(-p.decay))
        # Where a rounds to 1 the root would have no derivative.
        scale = sqrt(maximum(1.0 - a * a, 1e-12))
        return State(h=a * s.h + scale * (sigmoid(x.i) * x.v))
