"""The time-aware long short-term memory."""

import math
from dataclasses import dataclass
from typing import Any

from recurra.cells.cell import Cell, Gates, PerUnit, State
from recurra.ops import log, relu, sigmoid, tanh

__all__ = ["TimeLSTM"]


@dataclass(frozen=True)
class TimeLSTM(Cell):
    """Time-aware LSTM, T-LSTM (Baytas et al. 2017): its short-term memory fades with the time e since the last step.

    s = tanh(W_hs c_{t-1} + b_hs)             the short-term part of the memory
    c* = c_{t-1} - s + s / log(exp(1) + e)    what is left of it after the time e
    i = sigmoid(x_i + u_i)                    x_* = W_i* x_t + b_i*      (input projection)
    f = sigmoid(x_f + u_f)                    u_* = W_h* h_{t-1} + b_h*  (recurrent projection)
    g = tanh(x_g + u_g)
    o = sigmoid(x_o + u_o)
    c = f c* + i g
    h = o tanh(c)

    The discount 1 / log(exp(1) + e) is the paper's for large times; a negative time counts as 0.
    """

    gates = ("elapsed", "i", "f", "g", "o", "s")
    state = ("h", "c")
    keeps = {"f": 1}  # noqa: RUF012
    admits = ("i",)
    elapsed = "same"
    recurrent_only = ("s",)
    second_stage_gates = ("s",)

    def modulated(self, x: Gates, u: Gates, s: State, p: PerUnit) -> Any:
        return s.c

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        short = tanh(u.s)
        aged = s.c - short + short / log(relu(x.elapsed) + math.e)
        i = sigmoid(x.i + u.i)
        f = sigmoid(x.f + u.f)
        g = tanh(x.g + u.g)
        o = sigmoid(x.o + u.o)
        c = f * aged + i * g
        return State(h=o * tanh(c), c=c)
