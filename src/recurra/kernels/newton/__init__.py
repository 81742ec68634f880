"""Newton's iteration on a whole sequence: cells whose units do not mix, affine or not, parallel in time."""

from recurra.kernels.newton.sequence import run
from recurra.kernels.newton.solve import Solution, solve

__all__ = ["Solution", "run", "solve"]
