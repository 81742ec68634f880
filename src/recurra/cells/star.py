"""The stackable recurrent cell."""

from dataclasses import dataclass

from recurra.cells.cell import Cell, Gates, PerUnit, State
from recurra.ops import sigmoid, tanh

__all__ = ["STAR"]


@dataclass(frozen=True)
class STAR(Cell):
    """Stackable recurrent cell (Turkoglu et al. 2021, Gating revisited: deep multi-layer RNNs that can be trained).

    k = sigmoid(x_k + u_k)                    x_* = W_i* x_t + b_i*      (input projection)
    z = tanh(x_z)                             u_k = W_hk h_{t-1} + b_hk  (recurrent projection, of k alone)
    h = tanh((1 - k) h_{t-1} + k z)

    It has one gate and one recurrent matrix. The paper chooses this form because gradients neither grow nor vanish
    through many layers of it. The authors' code takes in more of z than it forgets of h, as `JANET` does.
    """

    gates = ("k", "z")
    state = ("h",)
    keeps = {"k": -1}  # noqa: RUF012
    input_only = ("z",)
    built_in = False

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        k = sigmoid(x.k + u.k)
        return State(h=tanh(s.h + k * (tanh(x.z) - s.h)))
