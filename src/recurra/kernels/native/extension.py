"""The compiled extension, and the functions it offers for a cell."""

import ctypes
import logging
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from recurra.cells import Cell
from recurra.codegen import compile_library, digest, mixes_units, prepared, saved_for_backward, shares_gradient, trace
from recurra.errors import CellError, CompilerError, ParameterError
from recurra.kernels.native.build import check_build
from recurra.openmp import torch_openmp

try:
    import recurra._native as _native  # pyright: ignore[reportMissingImports]
except ModuleNotFoundError:
    _native = None

__all__ = [
    "Call",
    "CompiledCell",
    "StepEntries",
    "best",
    "compile_cell",
    "compiled_cell",
    "instruction_set",
    "instruction_sets",
    "is_installed",
    "large_product",
    "loaded",
    "parallel",
    "single_step",
    "unsupported_reason",
    "vector_bytes",
    "vendor",
]

_log = logging.getLogger("recurra.kernels")
_VECTOR_BYTES = {"baseline": 16, "avx2": 32, "avx512": 64, "neon": 16}
MOST_PARTS = 8  # of csrc/call.hpp


class Call(ctypes.Structure):
    """`recurra::Call` of csrc/call.hpp, field by field."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("steps", "batch", "hidden", "size", "features", "heads", "reverse")),
        *((name, ctypes.c_int64) for name in ("threads", "nonlinearity", "zoneout_step", "zoneout_row")),
        ("epsilon", ctypes.c_double),
        *((name, ctypes.c_void_p) for name in ("lengths", "inputs", "weight_ih", "bias_ih", "x", "u", "weight")),
        *((name, ctypes.c_void_p) for name in ("bias", "norm", "norm_x", "per_unit", "projection")),
        *((name, ctypes.c_void_p) for name in ("projection_bias", "mask")),
        *((name, ctypes.c_void_p * MOST_PARTS) for name in ("zoneout", "initial")),
        ("output", ctypes.c_void_p),
        ("final_state", ctypes.c_void_p * MOST_PARTS),
        *((name, ctypes.c_void_p) for name in ("history", "saved", "before", "modulated", "normed", "deviation")),
        *((name, ctypes.c_void_p) for name in ("normed_x", "deviation_x", "unprojected", "d_output")),
        ("d_final", ctypes.c_void_p * MOST_PARTS),
        *((name, ctypes.c_void_p) for name in ("d_x", "d_u")),
        ("d_initial", ctypes.c_void_p * MOST_PARTS),
        *(
            (name, ctypes.c_void_p)
            for name in ("d_bias_x", "d_bias", "d_norm", "d_norm_x", "d_per_unit", "d_projected", "d_weight")
        ),
    )


if _native is not None:
    check_build(_native, Call)


class StepEntries(NamedTuple):
    """Addresses of a cell's functions for single steps, see `CellStep` in csrc/call.hpp.

    Attributes:
        update: the equations.
        modulate: what the recurrent weights of the second-stage gates multiply.
        prepare: what follows from the per-unit parameters alone.
        prepared: the number of these values a unit, Q.
    """

    update: int
    modulate: int
    prepare: int
    prepared: int


@dataclass(frozen=True)
class CompiledCell:
    """A cell's compiled functions, by the bits of a float: 32 or 64.

    Attributes:
        forward: called with a `Call` and the address of the function that runs threads.
        backward: likewise.
        saved: values that a unit saves for the backward pass, K.
        shares_gradient: whether the gradients of both projections are the same.
        mixes_units: whether a step needs a matrix product.
        step: the functions of single steps.
    """

    forward: dict[int, Any]
    backward: dict[int, Any]
    saved: int
    shares_gradient: bool
    mixes_units: bool
    step: StepEntries


def is_installed() -> bool:
    """Whether the package was built with its C++ extension."""
    return _native is not None


def loaded() -> Any:
    """The extension module.

    Raises:
        CompilerError: if the package was built without it.
    """
    if _native is None:
        raise CompilerError("the C++ extension is not installed; install without RECURRA_NO_EXTENSION")
    return _native


def instruction_sets() -> tuple[str, ...]:
    """The vector instruction sets that this processor offers, widest last; empty without the extension."""
    return () if _native is None else tuple(_native.instruction_sets())


def vector_bytes() -> int:
    """Width in bytes of the vectors that the engine uses on this machine."""
    return _VECTOR_BYTES[instruction_set()]


@cache
def parallel() -> int:
    """Address of the function that runs threads, on torch's own OpenMP runtime if it has one."""
    native = _native
    assert native is not None
    linked = torch_openmp()
    if linked is None:
        return native.parallel()
    functions = (linked.GOMP_parallel, linked.omp_get_thread_num, linked.omp_get_num_threads)
    native.use_openmp(*(ctypes.cast(function, ctypes.c_void_p).value for function in functions))
    # The runtime's threads do not survive a fork, and it would wait for them forever; plain threads serve there.
    os.register_at_fork(after_in_child=lambda: native.use_openmp(0, 0, 0))
    return native.parallel()


@cache
def unsupported_reason(cell: Cell) -> str:
    """Why a cell has no compiled functions here, or "" if it has. The first call compiles the cell."""
    if not is_installed():
        return "the C++ extension is not installed"
    try:
        compiled_cell(cell, instruction_set())
    except (CellError, CompilerError) as error:
        return str(error)
    return ""


def compile_cell(cell: Cell) -> None:
    """Compile a cell ahead of its first use; nothing is done for those in the package or compiled before.

    Layers that fell back to the reference kernel, because an earlier compilation failed, use the engine from then on.

    Raises:
        CellError: if its equations cannot be compiled.
        CompilerError: if the extension or a C++ compiler is missing, or fails.
    """
    if not isinstance(cell, Cell):
        raise ParameterError("cell", "a Cell such as recurra.cells.LSTM()", cell)
    loaded()
    compiled_cell(cell, instruction_set())
    unsupported_reason.cache_clear()


@cache
def compiled_cell(cell: Cell, instruction_set: str) -> CompiledCell:
    """The compiled functions of a cell for an instruction set, from the package or compiled now.

    Raises:
        CellError: if its equations cannot be compiled.
        CompilerError: if there is no compiler, or if it fails.
    """
    assert _native is not None
    if len(cell.state) > MOST_PARTS:
        raise CellError(f"{cell!r} has {len(cell.state)} parts of state; a compiled cell has at most {MOST_PARTS}")
    traced = trace(cell)
    addresses = _native.entries("baseline" if instruction_set == "neon" else instruction_set).get(digest(cell))
    if addresses is None:
        _log.info("compiling %r", cell)
        library = _load(compile_library(cell, _native.headers(), _VECTOR_BYTES[instruction_set]))
        names = ("forward32", "backward32", "forward64", "backward64", "update", "modulate", "prepare")
        addresses = tuple(ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0 for name in names)
        addresses = (*addresses, len(prepared(traced)))
    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(Call), ctypes.c_void_p)
    forward32, backward32, forward64, backward64 = (kind(address) for address in addresses[:4])
    return CompiledCell(
        {32: forward32, 64: forward64},
        {32: backward32, 64: backward64},
        len(saved_for_backward(traced)),
        shares_gradient(traced),
        mixes_units(cell),
        StepEntries(*addresses[4:]),
    )


def vendor() -> str:
    """Who made this processor: "intel", "amd" or "other"."""
    return "other" if _native is None else _native.processor_vendor()


def large_product(a: Tensor, b: Tensor, bias: Tensor | None, result: Tensor) -> None:
    """Write a b + bias into a contiguous result: (M, N) from (M, K), (K, N) with any strides, and (N,)."""
    assert _native is not None
    _native.large_product(
        "baseline" if instruction_set() == "neon" else instruction_set(),
        8 * result.element_size(),
        torch.get_num_threads(),
        (a.shape[0], b.shape[1], a.shape[1]),
        (a.data_ptr(), *a.stride()),
        (b.data_ptr(), *b.stride()),
        0 if bias is None else bias.data_ptr(),
        result.data_ptr(),
        parallel(),
    )


def single_step(call: bytes, compiled: CompiledCell, gates: int, features: int, weight_ih: Tensor) -> Any:
    """The engine's `SingleStep` for a layer, see csrc/single_step.cpp."""
    assert _native is not None
    bits = 8 * weight_ih.element_size()
    entries = (ctypes.cast(each[bits], ctypes.c_void_p).value for each in (compiled.forward, compiled.backward))
    chosen = "baseline" if instruction_set() == "neon" else instruction_set()
    return _native.SingleStep(call, gates, features, weight_ih.data_ptr(), *entries, chosen, bits, parallel())


def _load(path: Path) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise CompilerError(f"{path} cannot be loaded ({error}); set RECURRA_CACHE to another folder") from error


def best(cell: Cell) -> CompiledCell:
    """The compiled functions for this machine."""
    return compiled_cell(cell, instruction_set())


@cache
def instruction_set() -> str:
    """The widest set of this processor, or `RECURRA_INSTRUCTION_SET` if it is set."""
    offered = ("baseline", *instruction_sets())
    wanted = os.environ.get("RECURRA_INSTRUCTION_SET")
    if wanted is None:
        return offered[-1]
    if wanted not in offered:
        raise ParameterError("RECURRA_INSTRUCTION_SET", f"one of {', '.join(offered)}", wanted)
    return wanted
