"""The bistable recurrent cell."""

from dataclasses import dataclass

import torch

from recurra.cells.cell import Cell, Gates, PerUnit, State
from recurra.ops import sigmoid, tanh

__all__ = ["BRC"]


@dataclass(frozen=True)
class BRC(Cell):
    """Bistable recurrent cell (Vecoven et al. 2021): a unit that reads itself, and by that remembers without end.

    a = 1 + tanh(x_a + w_a h_{t-1})       x_* = W_* x_t + b_*  (no recurrent weights)
    c = sigmoid(x_c + w_c h_{t-1})        w_*                  (one a unit, 1 at first)
    h = c h_{t-1} + (1 - c) tanh(x_n + a h_{t-1})

    Without input a unit has two stable states where a is above 1, and stays in one of them whatever c is; where a is
    below 1, it forgets. The paper's x_n has no bias. The first w_* are those of the authors' code.
    """

    gates = ("a", "c", "n")
    state = ("h",)
    keeps = {"c": 1}  # noqa: RUF012
    per_unit = ("w_a", "w_c")
    initial = {"w_a": torch.ones_like, "w_c": torch.ones_like}  # noqa: RUF012
    recurrence = "none"
    built_in = False

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        a = 1 + tanh(x.a + p.w_a * s.h)
        c = sigmoid(x.c + p.w_c * s.h)
        n = tanh(x.n + a * s.h)
        return State(h=n + c * (s.h - n))
