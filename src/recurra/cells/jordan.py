"""The Jordan network."""

from dataclasses import dataclass, field

from recurra.cells.cell import Cell, Gates, PerUnit, State
from recurra.errors import ParameterError
from recurra.ops import relu, sigmoid, tanh

__all__ = ["Jordan"]

_NONLINEARITIES = {"tanh": tanh, "relu": relu, "sigmoid": sigmoid}
_OUTPUTS = ("tanh", "relu", "sigmoid", "identity")


@dataclass(frozen=True)
class Jordan(Cell):
    """Jordan network (Jordan 1986, Serial order: a parallel distributed processing approach): the output feeds back.

    a = f(x_a + u_a)            x_a = W_ih x_t + b_ih,  u_a = W_hh y_{t-1} + b_hh
    y = g(W_hr a + b_hr)        of any size (`proj_size`; H if it is 0)

    Jordan's context units may also decay slowly; here they are the last output.

    Args:
        nonlinearity: f, "tanh", "relu" or "sigmoid".
        output_nonlinearity: g, the same or "identity".

    Raises:
        ParameterError: for another nonlinearity.
    """

    nonlinearity: str = field(default="tanh", metadata={"choices": tuple(_NONLINEARITIES)})
    output_nonlinearity: str = field(default="tanh", metadata={"choices": _OUTPUTS})

    gates = ("a",)
    state = ("y",)

    def __post_init__(self) -> None:
        if self.nonlinearity not in _NONLINEARITIES:
            raise ParameterError("nonlinearity", "'tanh', 'relu' or 'sigmoid'", self.nonlinearity)
        if self.output_nonlinearity not in _OUTPUTS:
            expected = "'tanh', 'relu', 'sigmoid' or 'identity'"
            raise ParameterError("output_nonlinearity", expected, self.output_nonlinearity)

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        # This is a; the kernel projects it to y.
        return State(y=_NONLINEARITIES[self.nonlinearity](x.a + u.a))
