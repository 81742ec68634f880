"""The gated recurrent unit."""

from dataclasses import dataclass

from recurra.cells.cell import Cell, Gates, PerUnit, State
from recurra.ops import sigmoid, tanh

__all__ = ["GRU"]


@dataclass(frozen=True)
class GRU(Cell):
    """Gated recurrent unit (Cho et al. 2014), reset gate after the matrix product, as in torch and cuDNN.

    r = sigmoid(x_r + u_r)        x_* = W_i* x_t + b_i*      (input projection)
    z = sigmoid(x_z + u_z)        u_* = W_h* h_{t-1} + b_h*  (recurrent projection)
    n = tanh(x_n + r u_n)
    h = (1 - z) n + z h_{t-1}
    """

    gates = ("r", "z", "n")
    state = ("h",)
    keeps = {"z": 1}  # noqa: RUF012

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        r = sigmoid(x.r + u.r)
        z = sigmoid(x.z + u.z)
        n = tanh(x.n + r * u.n)
        return State(h=n + z * (s.h - n))
