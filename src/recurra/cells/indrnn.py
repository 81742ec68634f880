"""The independently recurrent network."""

from dataclasses import dataclass, field

from recurra.cells.cell import Cell, Gates, PerUnit, State
from recurra.errors import ParameterError
from recurra.ops import relu, tanh

__all__ = ["IndRNN"]

_NONLINEARITIES = {"relu": relu, "tanh": tanh}


@dataclass(frozen=True)
class IndRNN(Cell):
    """Independently recurrent network (Li et al. 2018): each unit reads its own last output only.

    h = f(x_h + u_h)        x_h = W_ih x_t + b_ih,  u_h = w_hh h_{t-1} + b_hh, unit by unit

    The first recurrent weights are uniform in 0 to 1: units then remember for different times (section 3).

    Args:
        nonlinearity: f, "relu" or "tanh".

    Raises:
        ParameterError: for another nonlinearity.
    """

    nonlinearity: str = field(default="relu", metadata={"choices": tuple(_NONLINEARITIES)})

    gates = ("h",)
    state = ("h",)
    recurrence = "diagonal"
    initial = {"weight_hh": lambda draws: draws}  # noqa: RUF012

    def __post_init__(self) -> None:
        if self.nonlinearity not in _NONLINEARITIES:
            raise ParameterError("nonlinearity", "'relu' or 'tanh'", self.nonlinearity)

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(h=_NONLINEARITIES[self.nonlinearity](x.h + u.h))
