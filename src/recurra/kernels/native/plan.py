"""The plan of the engine's forward pass for a call, to be printed and tested."""

import ctypes
from typing import Any

from recurra.cells import Cell
from recurra.codegen import mixes_units
from recurra.errors import CompilerError, ParameterError
from recurra.kernels.native import extension

__all__ = ["forward_plan"]


def forward_plan(cell: Cell, call: extension.Call, bits: int) -> Any:
    """The plan that the engine makes for a call on this machine.

    Args:
        cell: a cell whose steps need a matrix product.
        call: the sizes, and for each array whether it is null; no array is read.
        bits: of a float, 32 or 64.

    Returns:
        An object with `fused`, `unpacked`, `whole_rows`, `divides_units` (bool) and `threads` (int), explained at
        `Plan` of csrc/plan.hpp. Its `repr` is a sentence.

    Raises:
        ParameterError: if the cell's steps need no matrix product: the engine has one way for those.
        CompilerError: if the extension is not installed.
    """
    if not mixes_units(cell):
        raise ParameterError("cell", "a cell whose recurrent weights mix units", cell)
    if not extension.is_installed():
        raise CompilerError("the C++ extension is not installed; install without RECURRA_NO_EXTENSION")
    import recurra._native as native  # pyright: ignore[reportMissingImports]

    lanes = extension.vector_bytes() * 8 // bits
    return native.plan_forward(ctypes.addressof(call), len(cell.gates), len(cell.second_stage_gates), lanes)
