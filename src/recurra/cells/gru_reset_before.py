"""The gated recurrent unit as first published."""

from dataclasses import dataclass
from typing import Any

from recurra.cells.cell import Cell, Gates, PerUnit, State
from recurra.ops import sigmoid, tanh

__all__ = ["GRUResetBefore"]


@dataclass(frozen=True)
class GRUResetBefore(Cell):
    """Gated recurrent unit (Cho et al. 2014, equations 5 to 8), reset gate before the matrix product.

    r = sigmoid(x_r + u_r)            x_* = W_i* x_t + b_i*           (input projection)
    z = sigmoid(x_z + u_z)            u_r = W_hr h_{t-1} + b_hr, u_z likewise
    n = tanh(x_n + u_n)               u_n = W_hn (r h_{t-1}) + b_hn
    h = (1 - z) n + z h_{t-1}
    """

    gates = ("r", "z", "n")
    state = ("h",)
    keeps = {"z": 1}  # noqa: RUF012
    second_stage_gates = ("n",)

    def modulated(self, x: Gates, u: Gates, s: State, p: PerUnit) -> Any:
        return sigmoid(x.r + u.r) * s.h

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        z = sigmoid(x.z + u.z)
        n = tanh(x.n + u.n)
        return State(h=n + z * (s.h - n))
