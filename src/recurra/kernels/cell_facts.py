"""What a cell's equations say of it, and which kernels run it, in words."""

import inspect

from recurra.cells import Cell
from recurra.codegen import Dependence, dependence
from recurra.errors import BackendError, CellError
from recurra.kernels.choose import BACKENDS, OF_TRITON, Request, choose
from recurra.kernels.native import extension

__all__ = ["describe_cell"]

# On a GPU; they are tested on a CPU alone.
_UNTRIED = ("scan", "newton", "quasi_newton", *OF_TRITON)


def describe_cell(cell: Cell) -> dict[str, str]:
    """Facts that are derived from a cell's equations, by name.

    A cell of your own is compiled for it, as a layer's first use does.
    """
    rows = {
        "cell": repr(cell),
        "source": (inspect.getdoc(type(cell)) or "not documented").partition("\n")[0],
        "gates": ", ".join(cell.gates),
        "state": ", ".join(cell.state),
    }
    try:
        rows["next state"] = _in_words(cell, dependence(cell))
    except CellError as error:
        rows["next state"] = f"not derived: {error}"
    rows["kernels, CPU"] = ", ".join(name for name in BACKENDS[1:] if _serves(name, cell, "cpu"))
    on_cuda = [name for name in BACKENDS[1:] if _serves(name, cell, "cuda")]
    untried = [name for name in on_cuda if name in _UNTRIED]
    rows["kernels, CUDA"] = ", ".join(on_cuda) + (f"; not yet run on a GPU: {', '.join(untried)}" if untried else "")
    return rows


def _in_words(cell: Cell, derived: Dependence) -> str:
    carried = [cell.state[k] for k in derived.carried]
    if not carried:
        return "it does not depend on the state before"
    if derived.mixes == "all":
        words = "every unit depends on all units"
    elif derived.mixes == "heads":
        words = f"every unit depends on the units of its head, of {cell.heads} heads"
    elif derived.within_unit == "blocks":
        words = f"every unit depends on itself alone (blocks); {' and '.join(carried)} depend on each other"
    else:
        words = f"every unit depends on its own {' and '.join(carried)} alone (diagonal)"
    return f"{words}; {'affine' if derived.affine else 'not affine'}"


def _serves(backend: str, cell: Cell, device: str) -> bool:
    projected = cell.output_nonlinearity is not None
    request = Request(cell, device, "torch.float32", projected=projected, uncompiled=extension.unsupported_reason(cell))
    try:
        choose(backend, request)
    except BackendError:
        return False
    return True
