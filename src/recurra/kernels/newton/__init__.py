"""Newton's iteration on a whole sequence, parallel in time; quasi-Newton for cells whose units mix."""

from recurra.kernels.newton.iteration import Solution, solve
from recurra.kernels.newton.sequence import run

__all__ = ["Solution", "run", "solve"]
