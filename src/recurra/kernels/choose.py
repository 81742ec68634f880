"""Which kernel runs a sequence: one pure function."""

from typing import NamedTuple

from recurra.cells import LSTM, Cell
from recurra.errors import BackendError, ParameterError
from recurra.kernels.aten import serves as aten_serves

__all__ = ["BACKENDS", "Choice", "Request", "choose"]

BACKENDS = ("auto", "reference", "aten", "native")


class Request(NamedTuple):
    """What is to be run, as far as the choice depends on it.

    Attributes:
        cell: the equations.
        device: the type of the inputs' device, "cpu" or "cuda".
        dtype: the inputs' dtype as torch prints it, "torch.float32".
        projected: whether the output is projected (`proj_size`).
        uncompiled: why there are no compiled functions to run, or "" if there are.
        recurrent_dropout: whether there is a mask of recurrent dropout.
        zoneout: whether there are masks of zoneout.
        transformed: whether a function transform is under way (vmap, grad).
        forward_mode: whether forward-mode derivatives are under way (jvp, dual tensors).
        traced: whether torch.jit.trace or an export to ONNX traces what runs.
        compiled: whether torch.compile is under way, for a function that may be differentiated.
        large: whether it is inference over many rows of equal lengths and a large output, outside of transforms.
    """

    cell: Cell
    device: str
    dtype: str
    projected: bool = False
    uncompiled: str = ""
    recurrent_dropout: bool = False
    zoneout: bool = False
    transformed: bool = False
    forward_mode: bool = False
    traced: bool = False
    compiled: bool = False
    large: bool = False


class Choice(NamedTuple):
    """The backend that runs, and the reason for not running a faster one, or "" if there is none."""

    backend: str
    reason: str = ""


def choose(backend: str, request: Request) -> Choice:
    """The kernel for a request.

    Args:
        backend: "auto", or the name of a kernel: "reference", "aten" or "native".
        request: what is to be run.

    Raises:
        ParameterError: for an unknown backend.
        BackendError: if the backend asked for by name cannot serve.
    """
    if backend not in BACKENDS:
        raise ParameterError("backend", f"one of {', '.join(BACKENDS)}", backend)
    if backend == "reference":
        return Choice("reference")
    if backend != "auto":
        reason = _native_unsupported_reason(request) if backend == "native" else _aten_unsupported_reason(request)
        if reason:
            raise BackendError(f"backend {backend!r} cannot serve: {reason}. Use backend='auto'.")
        return Choice(backend)
    native = _native_unsupported_reason(request)
    if not native:
        return Choice("aten" if _is_faster_on_aten(request) else "native")
    aten = _aten_unsupported_reason(request)
    if aten:
        return Choice("reference", f"{native}; {aten}")
    return Choice("aten", native if _native_is_fastest(request) else "")


def _shown(cell: Cell) -> str:
    """The cell's repr, which torch.compile cannot trace."""
    return f"{type(cell).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(cell).items())})"


def _native_is_fastest(request: Request) -> bool:
    """Whether the native kernel is the fastest, if it can serve."""
    return request.device == "cpu" and request.dtype in ("torch.float32", "torch.float64")


def _is_faster_on_aten(request: Request) -> bool:
    """Whether oneDNN's LSTM is faster: nearly all the time goes to the matrix products (docs/results.md)."""
    return (
        request.large
        and request.cell == LSTM()
        and request.dtype == "torch.float32"
        and not _aten_unsupported_reason(request)
    )


def _native_unsupported_reason(request: Request) -> str:
    if not _native_is_fastest(request):
        return f"the native kernel runs float32 and float64 on a CPU, not {request.dtype} on {request.device}"
    if request.projected and (request.cell.recurrence != "dense" or request.cell.second_stage_gates):
        return "the native kernel projects the output of a full matrix of recurrent weights only"
    if request.projected and request.zoneout:
        return "the native kernel has no zoneout of projected outputs"
    if request.forward_mode:
        return "the native kernel has no forward-mode derivatives"
    if request.traced:
        return "torch.jit.trace and ONNX hold torch's operations only"
    return request.uncompiled


def _aten_unsupported_reason(request: Request) -> str:
    if not aten_serves(request.cell, request.projected):
        projected = " with a projected output" if request.projected else ""
        return f"torch has no fused kernel for the cell {_shown(request.cell)}{projected}"
    if request.recurrent_dropout or request.zoneout:
        return "torch's fused kernels have neither recurrent dropout nor zoneout"
    if request.forward_mode:
        return "torch's fused kernels have no forward-mode derivatives"
    if request.transformed:
        return "torch's fused kernels do not support function transforms (vmap)"
    if request.compiled and request.device == "cpu" and request.dtype != "torch.float64":
        # AOTAutograd fails on what oneDNN's backward pass saves (torch 2.13).
        return "torch.compile cannot differentiate torch's fused kernels on a CPU"
    return ""
