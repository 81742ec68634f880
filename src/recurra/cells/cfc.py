"""The closed-form continuous-time network."""

from dataclasses import dataclass

from recurra.cells.cell import Cell, Gates, PerUnit, State
from recurra.ops import sigmoid, tanh
from recurra.shapes import check_positive_number

__all__ = ["CfC"]


@dataclass(frozen=True)
class CfC(Cell):
    """Closed-form continuous-time network (Hasani et al. 2022), without a backbone before its heads.

    g = tanh(x_g + u_g)                                    x_* = W_i* x_t + b_i*      (input projection)
    h~ = tanh(x_h + u_h)                                   u_* = W_h* h_{t-1} + b_h*  (recurrent projection)
    t = sigmoid((x_a + u_a) interval + x_b + u_b)
    h = (1 - t) g + t h~

    The paper writes 1 - t as sigmoid(-f t), with f = x_a + u_a and t the time elapsed; the offset x_b + u_b is of the
    authors' code.

    Args:
        interval: the time elapsed between two steps.

    Raises:
        ParameterError: for an interval that is not a positive number.
    """

    interval: float = 1.0

    gates = ("g", "h", "a", "b")
    state = ("h",)

    def __post_init__(self) -> None:
        check_positive_number("interval", self.interval)

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        g = tanh(x.g + u.g)
        h = tanh(x.h + u.h)
        t = sigmoid((x.a + u.a) * self.interval + (x.b + u.b))
        return State(h=g + t * (h - g))
