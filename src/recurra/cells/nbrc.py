"""The neuromodulated bistable recurrent cell."""

from dataclasses import dataclass

from recurra.cells.cell import Cell, Gates, PerUnit, State
from recurra.ops import sigmoid, tanh

__all__ = ["NBRC"]


@dataclass(frozen=True)
class NBRC(Cell):
    """Neuromodulated bistable recurrent cell (Vecoven et al. 2021): a `BRC` whose gates read all units.

    a = 1 + tanh(x_a + u_a)           x_* = W_i* x_t + b_i*      (input projection)
    c = sigmoid(x_c + u_c)            u_* = W_h* h_{t-1} + b_h*  (recurrent projection, of a and c alone)
    h = c h_{t-1} + (1 - c) tanh(x_n + a h_{t-1})

    The paper's x_n has no bias.
    """

    gates = ("a", "c", "n")
    state = ("h",)
    keeps = {"c": 1}  # noqa: RUF012
    input_only = ("n",)
    built_in = False

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        a = 1 + tanh(x.a + u.a)
        c = sigmoid(x.c + u.c)
        n = tanh(x.n + a * s.h)
        return State(h=n + c * (s.h - n))
