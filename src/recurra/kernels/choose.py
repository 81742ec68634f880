"""Which kernel runs a sequence: one pure function."""

from typing import NamedTuple

from recurra.cells import LSTM, Cell
from recurra.codegen import Dependence, dependence, trace
from recurra.codegen.expression import reachable
from recurra.errors import BackendError, CellError, ParameterError
from recurra.kernels.aten import serves as aten_serves
from recurra.kernels.native.cell_keys import key_of, known
from recurra.kernels.torch_state import constant
from recurra.kernels.triton.availability import LARGEST_HEAD

__all__ = ["BACKENDS", "OF_STORED", "OF_TRITON", "Choice", "Request", "choose"]

OF_TRITON = ("triton", "triton_scan", "triton_newton")
OF_STORED = ("native_bfloat16", "native_int8")
BACKENDS = ("auto", "reference", "aten", "native", *OF_STORED, "scan", "newton", "quasi_newton", *OF_TRITON)


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
        large: whether it is inference over many rows of equal lengths and a large output, outside of transforms, with
            weights without many blocks of zeros, which the native kernel skips.
        long: whether there are so many steps that a scan over them takes less time than a loop of torch operations.
        units_read: how many units of the last output a unit reads, see `Weights.units_read`.
        captured: whether torch.compile is under way.
        interpreted: whether Triton runs in its interpreter.
        without_triton: why there is no Triton, or "".
        beyond_one_dnn: whether torch.autocast asks for a precision that oneDNN does not have on this processor.
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
    long: bool = False
    units_read: int = 0
    captured: bool = False
    interpreted: bool = False
    without_triton: str = ""
    beyond_one_dnn: bool = False


class Choice(NamedTuple):
    """The backend that runs, and the reason for not running a faster one, or "" if there is none."""

    backend: str
    reason: str = ""


def choose(backend: str, request: Request) -> Choice:
    """The kernel for a request.

    Args:
        backend: "auto", or the name of a kernel: "reference", "aten", "native", "native_bfloat16", "native_int8",
            "scan", "newton", "quasi_newton", "triton", "triton_scan" or "triton_newton".
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
        if reason := _UNSUPPORTED_REASONS[backend](request):
            raise BackendError(f"backend {backend!r} cannot serve: {reason}. Use backend='auto'.")
        return Choice(backend)
    native = _native_unsupported_reason(request)
    if not native:
        return Choice("aten" if _is_faster_on_aten(request) else "native")
    aten = _aten_unsupported_reason(request)
    fallback_reason = native if _native_is_fastest(request) else ""
    if not aten:
        return Choice("aten", fallback_reason)
    if request.long and not _scan_unsupported_reason(request):
        return Choice("scan", fallback_reason)
    return Choice("reference", f"{native}; {aten}")


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


def _stored_unsupported_reason(request: Request) -> str:
    if reason := _native_unsupported_reason(request):
        return reason
    if request.dtype != "torch.float32":
        return f"weights are stored in fewer bits for float32, not for {request.dtype}"
    if request.projected or request.cell.output_nonlinearity is not None:
        return "weights of projected outputs are not stored in fewer bits"
    if request.zoneout or request.recurrent_dropout:
        return "weights are stored in fewer bits for inference, which has neither recurrent dropout nor zoneout"
    if request.transformed or request.captured:
        return "stored weights support neither vmap nor torch.compile"
    cell = request.cell
    plain = cell.recurrence == "dense" and not (cell.second_stage_gates or cell.layer_norm)
    if not plain:
        return f"a step of {_shown(cell)} is not one product with the inputs and one with the last outputs"
    return ""


def _aten_unsupported_reason(request: Request) -> str:
    if not aten_serves(request.cell, request.projected):
        projected = " with a projected output" if request.projected else ""
        return f"torch has no fused kernel for the cell {_shown(request.cell)}{projected}"
    if request.recurrent_dropout or request.zoneout:
        return "torch's fused kernels have neither recurrent dropout nor zoneout"
    if request.forward_mode:
        return "torch's fused kernels have no forward-mode derivatives"
    if request.beyond_one_dnn and request.device == "cpu" and request.cell == LSTM():
        return "torch's fused LSTM lacks the precision that autocast asks for on this processor"
    if request.transformed:
        return "torch's fused kernels do not support function transforms (vmap)"
    if request.compiled and request.device == "cpu" and request.dtype != "torch.float64":
        # AOTAutograd fails on what oneDNN's backward pass saves (torch 2.13).
        return "torch.compile cannot differentiate torch's fused kernels on a CPU"
    return ""


def _scan_unsupported_reason(request: Request) -> str:
    if reason := _plain_unsupported_reason(request, "the scan"):
        return reason
    return _dependence_reason(key_of(request.cell), request.units_read == 1, True)


def _newton_unsupported_reason(request: Request) -> str:
    if reason := _iteration_unsupported_reason(request):
        return reason
    return _dependence_reason(key_of(request.cell), request.units_read == 1, False)


def _quasi_newton_unsupported_reason(request: Request) -> str:
    if reason := _iteration_unsupported_reason(request):
        return reason
    return _separation_reason(key_of(request.cell))


def _iteration_unsupported_reason(request: Request) -> str:
    """Why Newton's iteration cannot serve, the cell's equations aside."""
    if reason := _plain_unsupported_reason(request, "Newton's iteration"):
        return reason
    if request.dtype not in ("torch.float32", "torch.float64"):
        return f"Newton's iteration converges in float32 and float64, not in {request.dtype}"
    if request.transformed or request.captured:
        return "how often Newton's iteration repeats depends on values: neither vmap nor torch.compile can follow it"
    return _jump_reason(key_of(request.cell))


def _triton_unsupported_reason(request: Request) -> str:
    if reason := _compiled_by_triton_unsupported_reason(request):
        return reason
    if reason := _plain_unsupported_reason(request, "the Triton kernel"):
        return reason
    if reason := _dependence_reason(key_of(request.cell), request.units_read > 0, False):
        return reason
    if request.units_read > LARGEST_HEAD:
        return f"the Triton kernel runs heads of up to {LARGEST_HEAD} units, not of {request.units_read}"
    return ""


def _triton_scan_unsupported_reason(request: Request) -> str:
    return _compiled_by_triton_unsupported_reason(request) or _scan_unsupported_reason(request)


def _triton_newton_unsupported_reason(request: Request) -> str:
    return _compiled_by_triton_unsupported_reason(request) or _newton_unsupported_reason(request)


def _compiled_by_triton_unsupported_reason(request: Request) -> str:
    """Why no kernel that Triton compiles can serve, the cell aside."""
    if request.without_triton:
        return request.without_triton
    if request.device != "cuda" and not request.interpreted:
        return f"the Triton kernel runs on a CUDA device, not on {request.device} (TRITON_INTERPRET=1 interprets it)"
    if request.dtype not in ("torch.float32", "torch.float64"):
        return f"the Triton kernel runs float32 and float64, not {request.dtype}"
    if request.transformed or request.captured:
        return "the Triton kernel supports neither vmap nor torch.compile"
    return ""


def _plain_unsupported_reason(request: Request, kernel: str) -> str:
    """Why a kernel that projects no outputs cannot serve, the cell's equations aside."""
    if request.projected or request.cell.output_nonlinearity is not None:
        return f"{kernel} has no projected output"
    if request.forward_mode:
        return f"{kernel} has no forward-mode derivatives"
    if request.traced:
        return "torch.jit.trace and ONNX hold torch's operations only"
    return ""


@constant
def _separation_reason(key: str) -> str:
    """Why the quasi-Newton iteration does not run a cell, by its key, in a form that torch.compile can call."""
    cell = known(key)
    derived = _derived(cell)
    if isinstance(derived, str):
        return derived
    return f"units of {_shown(cell)} do not mix, use backend='newton'" if derived.mixes == "none" else ""


@constant
def _jump_reason(key: str) -> str:
    """Why Newton's iteration does not run a cell, by its key, in a form that torch.compile can call."""
    cell = known(key)
    try:
        nodes = reachable(trace(cell).results)
    except CellError as error:
        return str(error)
    if any(node.op == "floor" for node in nodes):
        return f"the equations of {_shown(cell)} have floor, and its jumps have no derivative to iterate by"
    return ""


def _derived(cell: Cell) -> Dependence | str:
    """How the state depends on the state before, or why that is not known."""
    if cell.products() or cell.widths():
        return f"{_shown(cell)} is not computed unit by unit, and runs on the reference kernel"
    try:
        return dependence(cell)
    except CellError as error:
        return str(error)


@constant
def _dependence_reason(key: str, with_heads: bool, affine: bool) -> str:
    """Why a kernel for cells whose units are apart does not run a cell, by its key, in a form that torch.compile can
    call; `with_heads`: whether it runs units that read those of their head."""
    cell = known(key)
    derived = _derived(cell)
    if isinstance(derived, str):
        return derived
    if derived.mixes != "none" and not (derived.mixes == "heads" and with_heads):
        return f"the state of a unit of {_shown(cell)} depends on other units"
    return f"{_shown(cell)} is not affine in its state" if affine and not derived.affine else ""


_UNSUPPORTED_REASONS = {
    "native": _native_unsupported_reason,
    **dict.fromkeys(OF_STORED, _stored_unsupported_reason),
    "aten": _aten_unsupported_reason,
    "scan": _scan_unsupported_reason,
    "newton": _newton_unsupported_reason,
    "quasi_newton": _quasi_newton_unsupported_reason,
    "triton": _triton_unsupported_reason,
    "triton_scan": _triton_scan_unsupported_reason,
    "triton_newton": _triton_newton_unsupported_reason,
}
