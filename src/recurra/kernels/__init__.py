"""Kernels: each runs a cell over a sequence; one pure function chooses between them."""

from recurra.kernels.choose import BACKENDS, Choice, Request, choose
from recurra.kernels.dispatch import run
from recurra.kernels.extension import compile_cell
from recurra.kernels.reference import step
from recurra.kernels.weights import Weights

__all__ = ["BACKENDS", "Choice", "Request", "Weights", "choose", "compile_cell", "run", "step"]
