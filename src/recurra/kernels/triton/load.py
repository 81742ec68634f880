"""Kernels: their source, written, and compiled by Triton when they first run."""

import hashlib
import linecache
from functools import cache
from typing import Any, NamedTuple

from recurra.cells import Cell
from recurra.codegen import TritonForm, saved_parts, write_triton, write_triton_scan
from recurra.kernels.triton.availability import is_interpreted

__all__ = ["Kernel", "load", "load_scan"]


class Kernel(NamedTuple):
    """The kernel of a cell.

    Attributes:
        forward: see `recurra.codegen.write_triton`; it is called as `forward[grid](...)` with all arguments by name.
        backward: the same.
        saved: the parts of the state beside the output that the forward pass saves, by position.
    """

    forward: Any
    backward: Any
    saved: tuple[int, ...]


def load(cell: Cell, form: TritonForm) -> Kernel:
    """The kernel of a cell, cached.

    Raises:
        CellError: if the equations cannot be compiled.
    """
    return _load(cell, form, is_interpreted())


def load_scan(parts: int) -> Any:
    """The function `scan` of `recurra.codegen.write_triton_scan`, cached; it is called as `scan[grid](...)`."""
    return _load_scan(parts, is_interpreted())


@cache
def _load(cell: Cell, form: TritonForm, interpreted: bool) -> Kernel:
    functions = _jitted(write_triton(cell, form), type(cell).__name__)
    return Kernel(functions["forward"], functions["backward"], saved_parts(cell, form))


@cache
def _load_scan(parts: int, interpreted: bool) -> Any:
    return _jitted(write_triton_scan(parts), f"a scan of {parts} x {parts}")["scan"]


def _jitted(source: str, title: str) -> dict[str, Any]:
    """The functions of a source, by name, which may call each other and those of `recurra.kernels.triton.functions`."""
    import triton
    import triton.language as tl

    from recurra.kernels.triton import functions

    # Triton reads the source of a function by the name of its file; here it is in memory alone.
    name = f"<{__name__}: {title} {hashlib.sha256(source.encode()).hexdigest()[:16]}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    # Triton looks up what a function calls in the namespace that the function was defined in.
    namespace: dict[str, Any] = {"tl": tl, "__name__": __name__}
    namespace |= {each: triton.jit(getattr(functions, each)) for each in functions.__all__}
    written: dict[str, Any] = {}
    exec(compile(source, name, "exec"), namespace, written)
    namespace |= {each: triton.jit(function) for each, function in written.items()}
    return namespace
