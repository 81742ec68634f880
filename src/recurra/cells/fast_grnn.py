"""The gated network with one pair of weight matrices."""

from dataclasses import dataclass

import torch
from torch import Tensor

from recurra.cells.cell import Cell, Gates, PerUnit, State
from recurra.ops import sigmoid, tanh

__all__ = ["FastGRNN"]


def _nu(draws: Tensor) -> Tensor:
    return torch.full_like(draws, -4.0)


@dataclass(frozen=True)
class FastGRNN(Cell):
    """FastGRNN (Kusupati et al. 2018), its weights neither of low rank nor sparse: gate and candidate share them.

    a = x_a + u_a                             x_a = W_ih x_t + b_ih,  u_a = W_hh h_{t-1} + b_hh
    z = sigmoid(a + bias_z)                   bias_*    (one a unit, 1 at first)
    n = tanh(a + bias_h)                      zeta, nu  (one number each, 1 and -4 at first)
    h = (sigmoid(zeta) (1 - z) + sigmoid(nu)) n + z h_{t-1}

    The paper has the biases of z and n only; b_ih and b_hh, here as in every cell, add to both.
    """

    gates = ("a",)
    state = ("h",)
    per_unit = ("bias_z", "bias_h", "zeta", "nu")
    keeps = {"bias_z": 1}  # noqa: RUF012
    scalars = ("zeta", "nu")
    initial = {  # noqa: RUF012
        "bias_z": torch.ones_like,
        "bias_h": torch.ones_like,
        "zeta": torch.ones_like,
        "nu": _nu,
    }

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        a = x.a + u.a
        z = sigmoid(a + p.bias_z)
        n = tanh(a + p.bias_h)
        return State(h=(sigmoid(p.zeta) * (1 - z) + sigmoid(p.nu)) * n + z * s.h)
