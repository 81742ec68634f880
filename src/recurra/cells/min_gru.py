"""The minimal gated recurrent unit without recurrent weights."""

from dataclasses import dataclass

from recurra.cells.cell import Cell, Gates, PerUnit, State
from recurra.ops import sigmoid

__all__ = ["MinGRU"]


@dataclass(frozen=True)
class MinGRU(Cell):
    """minGRU (Feng et al. 2024, Were RNNs all we needed?): a GRU whose gates see the input only.

    z = sigmoid(x_z)                  x_* = W_* x_t + b_*  (no recurrent weights)
    h = (1 - z) h_{t-1} + z x_n
    """

    gates = ("z", "n")
    state = ("h",)
    keeps = {"z": -1}  # noqa: RUF012
    recurrence = "none"

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(h=s.h + sigmoid(x.z) * (x.n - s.h))
