"""The long expressive memory."""

from dataclasses import dataclass
from typing import Any

from recurra.cells.cell import Cell, Gates, PerUnit, State
from recurra.ops import sigmoid, tanh
from recurra.shapes import check_positive_number

__all__ = ["LEM"]


@dataclass(frozen=True)
class LEM(Cell):
    """Long expressive memory (Rusch et al. 2022): two states, whose units move at time scales of their own.

    dt_z = dt sigmoid(x_dt_z + u_dt_z)                  x_* = W_i* x_t + b_i*      (input projection)
    dt_y = dt sigmoid(x_dt_y + u_dt_y)                  u_* = W_h* y_{t-1} + b_h*  (recurrent projection)
    z = (1 - dt_z) z_{t-1} + dt_z tanh(x_z + u_z)
    y = (1 - dt_y) y_{t-1} + dt_y tanh(x_y + u_y)       u_y = W_hy z + b_hy

    Args:
        dt: the longest step of a unit, above 0 and at most 1; the paper tunes it, and short ones suit long sequences.

    Raises:
        ParameterError: for a dt out of its range.
    """

    dt: float = 1.0

    gates = ("dt_z", "dt_y", "z", "y")
    state = ("y", "z")
    keeps = {"dt_z": -1, "dt_y": -1}  # noqa: RUF012
    second_stage_gates = ("y",)
    built_in = False

    def __post_init__(self) -> None:
        check_positive_number("dt", self.dt, at_most=1)

    def modulated(self, x: Gates, u: Gates, s: State, p: PerUnit) -> Any:
        return s.z + self.dt * sigmoid(x.dt_z + u.dt_z) * (tanh(x.z + u.z) - s.z)

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        z = self.modulated(x, u, s, p)
        return State(y=s.y + self.dt * sigmoid(x.dt_y + u.dt_y) * (tanh(x.y + u.y) - s.y), z=z)
