"""The LSTM with exponential gates."""

from dataclasses import dataclass, field

from recurra.cells.cell import Cell, Gates, PerUnit, State
from recurra.ops import exp, maximum, sigmoid, softplus, tanh, where
from recurra.shapes import check_positive

__all__ = ["SLSTM"]


@dataclass(frozen=True)
class SLSTM(Cell):
    """sLSTM (Beck et al. 2024, xLSTM, section 2.2): exponential gates, stabilised.

    f~ = log sigmoid(x_f + u_f)             x_* = W_i* x_t + b_i*      (input projection)
    i~ = x_i + u_i                          u_* = W_h* h_{t-1} + b_h*  (recurrent projection, head by head)
    z = tanh(x_z + u_z)
    o = sigmoid(x_o + u_o)
    m = max(f~ + m_{t-1}, i~)               (stabiliser; i~ at the first step, where n_{t-1} = 0)
    c = exp(f~ + m_{t-1} - m) c_{t-1} + exp(i~ - m) z
    n = exp(f~ + m_{t-1} - m) n_{t-1} + exp(i~ - m)
    h = o c / n

    By its recurrence n is at least 1; a state given with another n is divided by 1 if n is below a half.

    Args:
        heads: N, groups of H / N units of which each reads the last output of its own group only.

    Raises:
        ParameterError: for heads that are not a positive integer.
    """

    heads: int = field(default=1, metadata={"examples": (1, 2)})

    gates = ("i", "f", "z", "o")
    state = ("h", "c", "n", "m")
    # Not admits i: a bias of the exponential gate scales c and n alike, and h = o c / n not at all.
    keeps = {"f": 1}  # noqa: RUF012
    recurrence = "block_diagonal"

    def __post_init__(self) -> None:
        check_positive("heads", self.heads)

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        i = x.i + u.i
        z = tanh(x.z + u.z)
        o = sigmoid(x.o + u.o)
        carried = where(s.n > 0, s.m - softplus(-(x.f + u.f)), i)
        m = maximum(carried, i)
        forget, admit = exp(carried - m), exp(i - m)
        c = forget * s.c + admit * z
        n = forget * s.n + admit
        return State(h=o * c / where(n > 0.5, n, 1.0), c=c, n=n, m=m)
