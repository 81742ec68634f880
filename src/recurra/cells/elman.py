"""The simple recurrent network."""

from dataclasses import dataclass, field

from recurra.cells.cell import Cell, Gates, PerUnit, State
from recurra.errors import ParameterError
from recurra.ops import relu, sigmoid, tanh

__all__ = ["Elman"]

_NONLINEARITIES = {"tanh": tanh, "relu": relu, "sigmoid": sigmoid}


@dataclass(frozen=True)
class Elman(Cell):
    """Simple recurrent network (Elman 1990, Finding structure in time).

    h = f(x_h + u_h)        x_h = W_ih x_t + b_ih,  u_h = W_hh h_{t-1} + b_hh

    Args:
        nonlinearity: f, "tanh", "relu" or "sigmoid".

    Raises:
        ParameterError: for another nonlinearity.
    """

    nonlinearity: str = field(default="tanh", metadata={"choices": tuple(_NONLINEARITIES)})

    gates = ("h",)
    state = ("h",)

    def __post_init__(self) -> None:
        if self.nonlinearity not in _NONLINEARITIES:
            raise ParameterError("nonlinearity", "'tanh', 'relu' or 'sigmoid'", self.nonlinearity)

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(h=_NONLINEARITIES[self.nonlinearity](x.h + u.h))
