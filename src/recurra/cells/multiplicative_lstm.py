"""The multiplicative LSTM."""

from dataclasses import dataclass
from typing import Any

from recurra.cells.cell import Cell, Gates, PerUnit, State
from recurra.ops import sigmoid, tanh

__all__ = ["MultiplicativeLSTM"]


@dataclass(frozen=True)
class MultiplicativeLSTM(Cell):
    """Multiplicative LSTM (Krause et al. 2016, Multiplicative LSTM for sequence modelling), called mLSTM there.

    m = x_m u_m                       x_* = W_i* x_t + b_i*           (input projection)
    i = sigmoid(x_i + u_i)            u_m = W_hm h_{t-1} + b_hm
    f = sigmoid(x_f + u_f)            u_* = W_h* m + b_h*, of i, f, g and o
    g = tanh(x_g + u_g)
    o = sigmoid(x_o + u_o)
    c = f c_{t-1} + i g
    h = o tanh(c)

    What a unit reads of the last output depends on the input: each input has a transition of its own. The paper's
    factors of m have no biases. Memory and output are those of an LSTM, as in Radford et al. 2017 (Learning to generate
    reviews and discovering sentiment); Krause et al. write h = tanh(o c). The mLSTM of Beck et al. 2024, whose memory
    is a matrix, is another cell.
    """

    gates = ("m", "i", "f", "g", "o")
    state = ("h", "c")
    keeps = {"f": 1}  # noqa: RUF012
    admits = ("i",)
    second_stage_gates = ("i", "f", "g", "o")
    built_in = False

    def modulated(self, x: Gates, u: Gates, s: State, p: PerUnit) -> Any:
        return x.m * u.m

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        i = sigmoid(x.i + u.i)
        f = sigmoid(x.f + u.f)
        g = tanh(x.g + u.g)
        o = sigmoid(x.o + u.o)
        c = f * s.c + i * g
        return State(h=o * tanh(c), c=c)
