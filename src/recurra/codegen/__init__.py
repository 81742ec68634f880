"""Code generation: a cell's equations traced, differentiated, and written out as C++."""

from recurra.codegen.compile import compile_library
from recurra.codegen.cpp import digest, write_cell
from recurra.codegen.derive import (
    is_affine_in_state,
    mixes_units,
    prepared,
    saved_for_backward,
    shares_gradient,
    sum_only_gates,
)
from recurra.codegen.differentiate import Gradients, differentiate
from recurra.codegen.trace import Trace, trace

__all__ = [
    "Gradients",
    "Trace",
    "compile_library",
    "differentiate",
    "digest",
    "is_affine_in_state",
    "mixes_units",
    "prepared",
    "saved_for_backward",
    "shares_gradient",
    "sum_only_gates",
    "trace",
    "write_cell",
]
