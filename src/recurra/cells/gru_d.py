"""The gated recurrent unit whose state decays with time."""

from dataclasses import dataclass
from typing import Any

from recurra.cells.cell import Cell, Gates, PerUnit, State
from recurra.ops import exp, relu, sigmoid, tanh

__all__ = ["GRUD"]


@dataclass(frozen=True)
class GRUD(Cell):
    """GRU-D (Che et al. 2018): a gated recurrent unit whose state decays with the times e_t before it is read.

    h* = exp(-max(0, W_eh e_t + b_eh)) h_{t-1}
    r = sigmoid(x_r + u_r)            x_* = W_i* x_t + b_i*   (input projection)
    z = sigmoid(x_z + u_z)            u_* = W_h* h* + b_h*    (recurrent projection)
    n = tanh(x_n + r u_n)
    h = (1 - z) n + z h*

    The reset gate is applied after the matrix product, as in `GRU`; the paper's is before it. The paper's decay of
    inputs toward their means is `recurra.layers.InputDecay`, which gives this cell values and their marks. The decay's
    weights start at u^4 / E, u uniform in 0 to 1, and its biases at 0: units forget within one to hundreds of times 1.
    """

    gates = ("elapsed", "r", "z", "n")
    state = ("h",)
    keeps = {"z": 1}  # noqa: RUF012
    elapsed = "weighted"
    second_stage_gates = ("r", "z", "n")
    initial = {  # noqa: RUF012
        "weight_eh": lambda draws: draws**4 / draws.shape[1],
        "bias_eh": lambda draws: 0 * draws,
    }

    def modulated(self, x: Gates, u: Gates, s: State, p: PerUnit) -> Any:
        return exp(-relu(x.elapsed)) * s.h

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        decayed = exp(-relu(x.elapsed)) * s.h
        r = sigmoid(x.r + u.r)
        z = sigmoid(x.z + u.z)
        n = tanh(x.n + r * u.n)
        return State(h=n + z * (decayed - n))
