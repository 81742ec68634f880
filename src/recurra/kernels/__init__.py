"""Kernels: each runs a cell over a sequence; one pure function chooses between them."""

from recurra.kernels.cell_facts import describe_cell
from recurra.kernels.choose import BACKENDS, Choice, Request, choose
from recurra.kernels.describe import describe
from recurra.kernels.dispatch import intercepted, run
from recurra.kernels.native.cell_keys import register
from recurra.kernels.native.extension import compile_cell
from recurra.kernels.native.zero_blocks import BLOCK
from recurra.kernels.products import fixed_matrix, product_functions, product_shapes, unpacked_products
from recurra.kernels.projections import NORM_EPSILON
from recurra.kernels.runner import Runner, run_directions
from recurra.kernels.weights import Masks, Weights

__all__ = [
    "BACKENDS",
    "BLOCK",
    "NORM_EPSILON",
    "Choice",
    "Masks",
    "Request",
    "Runner",
    "Weights",
    "choose",
    "compile_cell",
    "describe",
    "describe_cell",
    "fixed_matrix",
    "intercepted",
    "product_functions",
    "product_shapes",
    "register",
    "run",
    "run_directions",
    "unpacked_products",
]
