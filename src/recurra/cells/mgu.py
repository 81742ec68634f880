"""The minimal gated unit."""

from dataclasses import dataclass
from typing import Any

from recurra.cells.cell import Cell, Gates, PerUnit, State
from recurra.ops import sigmoid, tanh

__all__ = ["MGU"]


@dataclass(frozen=True)
class MGU(Cell):
    """Minimal gated unit (Zhou et al. 2016, Minimal gated unit for recurrent neural networks).

    f = sigmoid(x_f + u_f)            x_* = W_i* x_t + b_i*           (input projection)
    n = tanh(x_n + u_n)               u_f = W_hf h_{t-1} + b_hf
    h = (1 - f) h_{t-1} + f n         u_n = W_hn (f h_{t-1}) + b_hn

    A GRU, reset gate before the matrix product, whose reset gate is also the rest of its update gate.
    """

    gates = ("f", "n")
    state = ("h",)
    keeps = {"f": -1}  # noqa: RUF012
    second_stage_gates = ("n",)

    def modulated(self, x: Gates, u: Gates, s: State, p: PerUnit) -> Any:
        return sigmoid(x.f + u.f) * s.h

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        f = sigmoid(x.f + u.f)
        n = tanh(x.n + u.n)
        return State(h=s.h + f * (n - s.h))
