"""The kernel of a cell: its source, written, and compiled by Triton when it first runs."""

import hashlib
import linecache
from functools import cache
from typing import Any, NamedTuple

from recurra.cells import Cell
from recurra.codegen import TritonForm, saved_parts, write_triton
from recurra.kernels.triton.availability import is_interpreted

__all__ = ["Kernel", "load"]


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


@cache
def _load(cell: Cell, form: TritonForm, interpreted: bool) -> Kernel:
    import triton
    import triton.language as tl

    from recurra.kernels.triton import functions

    source = write_triton(cell, form)
    # Triton reads the source of a function by the name of its file; here it is in memory alone.
    name = f"<{__name__}: {type(cell).__name__} {hashlib.sha256(source.encode()).hexdigest()[:16]}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    called = {each: triton.jit(getattr(functions, each)) for each in functions.__all__}
    namespace: dict[str, Any] = {"tl": tl, "__name__": __name__, **called}
    exec(compile(source, name, "exec"), namespace)
    return Kernel(triton.jit(namespace["forward"]), triton.jit(namespace["backward"]), saved_parts(cell, form))
