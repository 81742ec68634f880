"""The closed-form continuous-time network, with the time elapsed as an input."""

from dataclasses import dataclass

from recurra.cells.cell import Cell, Gates, PerUnit, State
from recurra.ops import sigmoid, tanh

__all__ = ["TimedCfC"]


@dataclass(frozen=True)
class TimedCfC(Cell):
    """Closed-form continuous-time network (Hasani et al. 2022) that reads the time e since the last step.

    g = tanh(x_g + u_g)                                x_* = W_i* x_t + b_i*      (input projection)
    h~ = tanh(x_h + u_h)                               u_* = W_h* h_{t-1} + b_h*  (recurrent projection)
    t = sigmoid((x_a + u_a) e + x_b + u_b)
    h = (1 - t) g + t h~

    It is `CfC` with the interval of each step given. The paper writes 1 - t as sigmoid(-f e), with f = x_a + u_a; the
    offset x_b + u_b is of the authors' code.
    """

    gates = ("elapsed", "g", "h", "a", "b")
    state = ("h",)
    elapsed = "same"

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        g = tanh(x.g + u.g)
        h = tanh(x.h + u.h)
        t = sigmoid((x.a + u.a) * x.elapsed + (x.b + u.b))
        return State(h=g + t * (h - g))
