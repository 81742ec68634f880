"""Code generation: a cell's equations traced, differentiated, and written out as C++, C and Triton."""

from recurra.codegen.c import C_NAMES, CFunction, literal, write_c_modulated, write_c_update
from recurra.codegen.c_maths import maths
from recurra.codegen.compile import compile_library
from recurra.codegen.cpp import digest, write_cell
from recurra.codegen.dependence import Dependence, dependence
from recurra.codegen.derive import (
    mixes_units,
    prepared,
    saved_for_backward,
    shares_gradient,
    sum_only_gates,
)
from recurra.codegen.differentiate import Gradients, differentiate, differentiate_parts
from recurra.codegen.evaluate import Program, evaluate, program, run_program
from recurra.codegen.trace import Trace, check_by_unit, trace
from recurra.codegen.triton import TritonForm, saved_parts, write_triton
from recurra.codegen.triton_scan import write_triton_scan

__all__ = [
    "C_NAMES",
    "CFunction",
    "Dependence",
    "Gradients",
    "Program",
    "Trace",
    "TritonForm",
    "check_by_unit",
    "compile_library",
    "dependence",
    "differentiate",
    "differentiate_parts",
    "digest",
    "evaluate",
    "literal",
    "maths",
    "mixes_units",
    "prepared",
    "program",
    "run_program",
    "saved_for_backward",
    "saved_parts",
    "shares_gradient",
    "sum_only_gates",
    "trace",
    "write_c_modulated",
    "write_c_update",
    "write_cell",
    "write_triton",
    "write_triton_scan",
]
