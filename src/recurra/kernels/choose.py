"""Which kernel runs a sequence: one pure function."""

from dataclasses import dataclass

from recurra.cells import Cell
from recurra.errors import BackendError, ParameterError
from recurra.kernels.aten import serves as aten_serves

__all__ = ["BACKENDS", "Choice", "Request", "choose"]

BACKENDS = ("auto", "reference", "aten", "native")


@dataclass(frozen=True)
class Request:
    """What is to be run, as far as the choice depends on it.

    Attributes:
        cell: the equations.
        device: the type of the inputs' device, "cpu" or "cuda".
        dtype: the inputs' dtype as torch prints it, "torch.float32".
        projected: whether the output is projected (`proj_size`).
        transform: the function transform under way, in words for the reason given, or None.
        uncompiled: why there are no compiled functions to run; empty where there are.
    """

    cell: Cell
    device: str
    dtype: str
    projected: bool = False
    transform: str | None = None
    uncompiled: str = ""


@dataclass(frozen=True)
class Choice:
    """The backend that runs, and why not a faster one (empty where there is none faster)."""

    backend: str
    reason: str = ""


def choose(backend: str, request: Request) -> Choice:
    """The kernel for a request.

    Args:
        backend: "auto", or the name of a kernel: "reference", "aten" or "native".
        request: what is to be run.

    Raises:
        ParameterError: for an unknown backend.
        BackendError: where the backend asked for by name cannot serve.
    """
    if backend not in BACKENDS:
        raise ParameterError("backend", f"one of {', '.join(BACKENDS)}", backend)
    if backend == "reference":
        return Choice("reference")
    if backend != "auto":
        obstacle = _native_obstacle(request) if backend == "native" else _aten_obstacle(request)
        if obstacle:
            raise BackendError(f"backend {backend!r} cannot serve: {obstacle}. Use backend='auto'.")
        return Choice(backend)
    native = _native_obstacle(request)
    if not native:
        return Choice("native")
    aten = _aten_obstacle(request)
    return Choice("reference", f"{native}; {aten}") if aten else Choice("aten", request.uncompiled)


def _shown(cell: Cell) -> str:
    """As repr has it, which torch.compile cannot trace."""
    return f"{type(cell).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(cell).items())})"


def _native_obstacle(request: Request) -> str:
    if request.device != "cpu" or request.dtype not in ("torch.float32", "torch.float64"):
        return f"the native kernel runs float32 and float64 on a CPU, not {request.dtype} on {request.device}"
    if request.projected:
        return "the native kernel does not project the output"
    if request.transform is not None:
        return f"the native kernel does not support {request.transform}"
    return request.uncompiled


def _aten_obstacle(request: Request) -> str:
    if not aten_serves(request.cell, request.projected):
        projected = " with a projected output" if request.projected else ""
        return f"torch has no fused kernel for the cell {_shown(request.cell)}{projected}"
    if request.transform is not None:
        return f"torch's fused kernels do not support {request.transform}"
    return ""
