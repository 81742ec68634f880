"""The network of coupled oscillators."""

from dataclasses import dataclass
from typing import Any

from recurra.cells.cell import Cell, Gates, PerUnit, State
from recurra.ops import tanh
from recurra.shapes import check_positive_number

__all__ = ["CoRNN"]


@dataclass(frozen=True)
class CoRNN(Cell):
    """Coupled oscillatory network (Rusch and Mishra 2021): each unit is a damped and driven oscillator.

    z = z_{t-1} + dt (tanh(x_a + u_a + u_z) - gamma y_{t-1} - epsilon z_{t-1})
    y = y_{t-1} + dt z
    x_a = W_i x_t + b_i,  u_a = W_ha y_{t-1} + b_ha,  u_z = W_hz z_{t-1} + b_hz

    It is the paper's scheme with the damping taken at t - 1, as in the authors' code, whose values for the adding
    problem are the defaults. Its output is y, the position of the oscillators; z is their velocity.

    Args:
        dt: the length of a step.
        gamma: the square of the oscillators' frequency.
        epsilon: their damping. The scheme is stable if dt epsilon is below 1 and dt^2 gamma is small.

    Raises:
        ParameterError: for a value that is not a positive number.
    """

    dt: float = 0.06
    gamma: float = 66.0
    epsilon: float = 15.0

    gates = ("a", "z")
    state = ("y", "z")
    recurrent_only = ("z",)
    second_stage_gates = ("z",)
    built_in = False

    def __post_init__(self) -> None:
        for name in ("dt", "gamma", "epsilon"):
            check_positive_number(name, getattr(self, name))

    def modulated(self, x: Gates, u: Gates, s: State, p: PerUnit) -> Any:
        return s.z

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        z = s.z + self.dt * (tanh(x.a + u.a + u.z) - self.gamma * s.y - self.epsilon * s.z)
        return State(y=s.y + self.dt * z, z=z)
