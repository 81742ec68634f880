"""The recurrent highway network."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from recurra.cells.cell import Cell, Gates, PerUnit, Product, State
from recurra.ops import sigmoid, tanh
from recurra.shapes import check_positive

__all__ = ["RHN"]


@dataclass(frozen=True)
class RHN(Cell):
    """Recurrent highway network (Zilly et al. 2017): a step is a highway network of several layers, its gates coupled.

    s_0 = h_{t-1}                               x_* = W_i* x_t + b_i*      (input projection)
    n_1 = tanh(x_n + u_n)                       u_* = W_h* h_{t-1} + b_h*  (recurrent projection)
    t_1 = sigmoid(x_t + u_t)
    n_k = tanh(R_nk s_{k-1} + b_nk)             of the layers k = 2 ... depth
    t_k = sigmoid(R_tk s_{k-1} + b_tk)
    s_k = t_k n_k + (1 - t_k) s_{k-1}
    h = s_depth

    The biases b_tk start at -2, so that the layers first carry the state. The first layer alone is `UGRNN` whose gate
    has the opposite sign.

    Args:
        depth: layers of a step, at least 1.

    Raises:
        ParameterError: for a depth that is not a positive integer.
    """

    depth: int = field(default=3, metadata={"examples": (3,)})

    gates = ("n", "t")
    state = ("h",)
    keeps = {"t": -1}  # noqa: RUF012
    built_in = False

    def __post_init__(self) -> None:
        check_positive("depth", self.depth)

    def products(self) -> Mapping[str, Product]:
        biases = {"n": 0.0, "t": -2.0}
        return {f"{gate}{k}": Product(bias=bias) for k in range(2, self.depth + 1) for gate, bias in biases.items()}

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        h = s.h + sigmoid(x.t + u.t) * (tanh(x.n + u.n) - s.h)
        for k in range(2, self.depth + 1):
            n, t = getattr(p, f"n{k}"), getattr(p, f"t{k}")
            h = h + sigmoid(t(h)) * (tanh(n(h)) - h)
        return State(h=h)
