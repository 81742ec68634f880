"""The LSTM that forgets as much as it takes in."""

from dataclasses import dataclass

from recurra.cells.cell import Cell, Gates, PerUnit, State
from recurra.ops import sigmoid, tanh

__all__ = ["CoupledLSTM"]


@dataclass(frozen=True)
class CoupledLSTM(Cell):
    """LSTM with coupled input and forget gate (Greff et al. 2017, variant CIFG, without peepholes).

    f = sigmoid(x_f + u_f)        x_* = W_i* x_t + b_i*      (input projection)
    g = tanh(x_g + u_g)           u_* = W_h* h_{t-1} + b_h*  (recurrent projection)
    o = sigmoid(x_o + u_o)
    c = f c_{t-1} + (1 - f) g
    h = o tanh(c)
    """

    gates = ("f", "g", "o")
    state = ("h", "c")
    keeps = {"f": 1}  # noqa: RUF012

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        f = sigmoid(x.f + u.f)
        g = tanh(x.g + u.g)
        o = sigmoid(x.o + u.o)
        c = g + f * (s.c - g)
        return State(h=o * tanh(c), c=c)
