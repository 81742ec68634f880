"""The long short-term memory."""

from dataclasses import dataclass

from recurra.cells.cell import Cell, Gates, PerUnit, State
from recurra.ops import sigmoid, tanh

__all__ = ["LSTM"]


@dataclass(frozen=True)
class LSTM(Cell):
    """Long short-term memory (Hochreiter and Schmidhuber 1997) with a forget gate (Gers et al. 2000).

    i = sigmoid(x_i + u_i)        x_* = W_i* x_t + b_i*      (input projection)
    f = sigmoid(x_f + u_f)        u_* = W_h* h_{t-1} + b_h*  (recurrent projection)
    g = tanh(x_g + u_g)
    o = sigmoid(x_o + u_o)
    c = f c_{t-1} + i g
    h = o tanh(c)
    """

    gates = ("i", "f", "g", "o")
    state = ("h", "c")
    keeps = {"f": 1}  # noqa: RUF012
    admits = ("i",)

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        i = sigmoid(x.i + u.i)
        f = sigmoid(x.f + u.f)
        g = tanh(x.g + u.g)
        o = sigmoid(x.o + u.o)
        c = f * s.c + i * g
        return State(h=o * tanh(c), c=c)
