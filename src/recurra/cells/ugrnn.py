"""The update gate network."""

from dataclasses import dataclass, field

from recurra.cells.cell import Cell, Gates, PerUnit, State
from recurra.errors import ParameterError
from recurra.ops import relu, sigmoid, tanh

__all__ = ["UGRNN"]

_NONLINEARITIES = {"tanh": tanh, "relu": relu}


@dataclass(frozen=True)
class UGRNN(Cell):
    """Update gate network (Collins et al. 2017, Capacity and trainability in recurrent neural networks): one gate.

    g = sigmoid(x_g + u_g)            x_* = W_i* x_t + b_i*      (input projection)
    c = f(x_c + u_c)                  u_* = W_h* h_{t-1} + b_h*  (recurrent projection)
    h = g h_{t-1} + (1 - g) c

    It is a GRU without a reset gate. The constant that the paper adds to g is part of its bias (`forget_bias` of
    `recurra.layers.initialize`). With "relu" it is the Li-GRU (Ravanelli et al. 2018) without batch normalisation.

    Args:
        nonlinearity: f, "tanh" or "relu".

    Raises:
        ParameterError: for another nonlinearity.
    """

    nonlinearity: str = field(default="tanh", metadata={"choices": tuple(_NONLINEARITIES)})

    gates = ("g", "c")
    state = ("h",)
    keeps = {"g": 1}  # noqa: RUF012
    built_in = False

    def __post_init__(self) -> None:
        if self.nonlinearity not in _NONLINEARITIES:
            raise ParameterError("nonlinearity", "'tanh' or 'relu'", self.nonlinearity)

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        g = sigmoid(x.g + u.g)
        c = _NONLINEARITIES[self.nonlinearity](x.c + u.c)
        return State(h=c + g * (s.h - c))
