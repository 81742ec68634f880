"""The LSTM whose gates see the memory."""

from dataclasses import dataclass

from recurra.cells.cell import Cell, Gates, PerUnit, State
from recurra.ops import sigmoid, tanh

__all__ = ["PeepholeLSTM"]


@dataclass(frozen=True)
class PeepholeLSTM(Cell):
    """LSTM with peephole connections (Gers, Schraudolph and Schmidhuber 2002), diagonal as in Graves 2013.

    i = sigmoid(x_i + u_i + w_i c_{t-1})        x_* = W_i* x_t + b_i*      (input projection)
    f = sigmoid(x_f + u_f + w_f c_{t-1})        u_* = W_h* h_{t-1} + b_h*  (recurrent projection)
    g = tanh(x_g + u_g)                         w_*                        (peepholes, one a unit)
    c = f c_{t-1} + i g
    o = sigmoid(x_o + u_o + w_o c)
    h = o tanh(c)
    """

    gates = ("i", "f", "g", "o")
    state = ("h", "c")
    keeps = {"f": 1}  # noqa: RUF012
    admits = ("i",)
    per_unit = ("peephole_i", "peephole_f", "peephole_o")

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        i = sigmoid(x.i + u.i + p.peephole_i * s.c)
        f = sigmoid(x.f + u.f + p.peephole_f * s.c)
        g = tanh(x.g + u.g)
        c = f * s.c + i * g
        o = sigmoid(x.o + u.o + p.peephole_o * c)
        return State(h=o * tanh(c), c=c)
