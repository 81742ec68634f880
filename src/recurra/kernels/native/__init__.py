"""The native kernel: a cell's equations compiled into the time loop, forward and backward."""

from recurra.kernels.native.extension import compile_cell
from recurra.kernels.native.sequence import run

__all__ = ["compile_cell", "run"]
