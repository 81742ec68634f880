"""Which kernel runs a sequence: one pure function."""

from dataclasses import dataclass

from recurra.cells import Cell
from recurra.errors import BackendError, ParameterError
from recurra.kernels import aten

__all__ = ["BACKENDS", "Choice", "Request", "choose"]

BACKENDS = ("auto", "reference", "aten")


@dataclass(frozen=True)
class Request:
    """What is to be run, as far as the choice depends on it.

    Attributes:
        cell: the equations.
        device: the type of the inputs' device, "cpu" or "cuda".
        dtype: the inputs' dtype as torch prints it, "torch.float32".
        projected: whether the output is projected (`proj_size`).
        transform: the function transform under way, in words for the reason given, or None.
    """

    cell: Cell
    device: str
    dtype: str
    projected: bool = False
    transform: str | None = None


@dataclass(frozen=True)
class Choice:
    """The backend that runs, and why not a faster one (empty where there is none faster)."""

    backend: str
    reason: str = ""


def choose(backend: str, request: Request) -> Choice:
    """The kernel for a request.

    Args:
        backend: "auto", or the name of a kernel: "reference" or "aten".
        request: what is to be run.

    Raises:
        ParameterError: for an unknown backend.
        BackendError: where the backend asked for by name cannot serve.
    """
    if backend not in BACKENDS:
        raise ParameterError("backend", f"one of {', '.join(BACKENDS)}", backend)
    if backend == "reference":
        return Choice("reference")
    obstacle = _aten_obstacle(request)
    if not obstacle:
        return Choice("aten")
    if backend == "aten":
        raise BackendError(f"backend 'aten' cannot serve: {obstacle}. Use backend='auto' or 'reference'.")
    return Choice("reference", obstacle)


def _aten_obstacle(request: Request) -> str:
    if not aten.serves(request.cell, request.projected):
        projected = " with a projected output" if request.projected else ""
        return f"torch has no fused kernel for the cell {request.cell!r}{projected}"
    if request.transform is not None:
        return f"torch's fused kernels do not support {request.transform}"
    return ""
