"""The simple recurrent unit."""

from dataclasses import dataclass

from recurra.cells.cell import Cell, Gates, PerUnit, State
from recurra.ops import sigmoid

__all__ = ["SRU"]


@dataclass(frozen=True)
class SRU(Cell):
    """Simple recurrent unit (Lei et al. 2018, Simple recurrent units for highly parallelizable recurrence).

    f = sigmoid(x_f + v_f c_{t-1})        x_* = W_* x_t + b_*  (no recurrent weights)
    r = sigmoid(x_r + v_r c_{t-1})        v_*                  (one a unit)
    c = f c_{t-1} + (1 - f) x_g
    h = r c + (1 - r) x_skip

    In the paper the highway passes the input itself, times a constant, and so needs I = H; here it has weights of its
    own, x_skip, as the authors' code has where the sizes differ.
    """

    gates = ("f", "r", "g", "skip")
    state = ("h", "c")
    keeps = {"f": 1}  # noqa: RUF012
    per_unit = ("v_f", "v_r")
    recurrence = "none"

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        f = sigmoid(x.f + p.v_f * s.c)
        r = sigmoid(x.r + p.v_r * s.c)
        c = x.g + f * (s.c - x.g)
        return State(h=x.skip + r * (c - x.skip), c=c)
