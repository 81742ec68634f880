"""The minimal LSTM without recurrent weights."""

from dataclasses import dataclass

from recurra.cells.cell import Cell, Gates, PerUnit, State
from recurra.ops import sigmoid, softplus

__all__ = ["MinLSTM"]


@dataclass(frozen=True)
class MinLSTM(Cell):
    """minLSTM (Feng et al. 2024, Were RNNs all we needed?): an LSTM whose gates see the input only and sum to 1.

    f = sigmoid(x_f)                  x_* = W_* x_t + b_*  (no recurrent weights)
    i = sigmoid(x_i)
    f' = f / (f + i)                  computed as sigmoid(log f - log i), defined where both gates underflow
    h = f' h_{t-1} + (1 - f') x_n
    """

    gates = ("f", "i", "n")
    state = ("h",)
    keeps = {"f": 1}  # noqa: RUF012
    admits = ("i",)
    recurrence = "none"

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        # log sigmoid(a) = -softplus(-a)
        forget = sigmoid(softplus(-x.i) - softplus(-x.f))
        return State(h=x.n + forget * (s.h - x.n))
