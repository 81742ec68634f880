"""Triton: the whole loop over time as one kernel of a GPU, written from the equations of a cell; linear recurrences.

Nothing here imports the package triton before a kernel runs.
"""

from recurra.kernels.triton.sequence import run

__all__ = ["run"]
