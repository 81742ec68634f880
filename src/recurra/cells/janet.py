"""The LSTM that has a forget gate only."""

from dataclasses import dataclass

from recurra.cells.cell import Cell, Gates, PerUnit, State
from recurra.ops import sigmoid, tanh
from recurra.shapes import check_positive_number

__all__ = ["JANET"]


@dataclass(frozen=True)
class JANET(Cell):
    """JANET (van der Westhuizen and Lasenby 2018, The unreasonable effectiveness of the forget gate).

    a = x_f + u_f                                         x_* = W_i* x_t + b_i*      (input projection)
    n = tanh(x_n + u_n)                                   u_* = W_h* h_{t-1} + b_h*  (recurrent projection)
    h = sigmoid(a) h_{t-1} + (1 - sigmoid(a - beta)) n

    It is an LSTM without input and output gates, whose memory is its output. Beta lets a unit take in more than it
    forgets; if it were 0, the cell would be `UGRNN`. The paper starts the biases of f by chrono initialisation, which
    is `recurra.layers.initialize(module, chrono=T)`.

    Args:
        beta: how much larger the bias of what is taken in is than that of what is forgotten; 1 in the paper.

    Raises:
        ParameterError: for a beta that is not a positive number.
    """

    beta: float = 1.0

    gates = ("f", "n")
    state = ("h",)
    keeps = {"f": 1}  # noqa: RUF012
    built_in = False

    def __post_init__(self) -> None:
        check_positive_number("beta", self.beta)

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        a = x.f + u.f
        n = tanh(x.n + u.n)
        # 1 - sigmoid(a - beta) without cancellation where the gate keeps all.
        return State(h=sigmoid(a) * s.h + sigmoid(self.beta - a) * n)
