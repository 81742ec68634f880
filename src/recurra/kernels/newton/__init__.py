"""Newton's iteration on a whole sequence: cells whose units do not mix, affine or not, parallel in time."""

from recurra.kernels.newton.iteration import Solution, solve
from recurra.kernels.newton.sequence import run

__all__ = ["Solution", "run", "solve"]
