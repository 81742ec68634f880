"""Run a sequence on the kernel that `choose` names."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import get_ident

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from recurra.cells import Cell
from recurra.codegen import trace
from recurra.errors import CellError
from recurra.kernels import aten, native, newton, reference, scan, triton
from recurra.kernels.choose import choose
from recurra.kernels.describe import describe
from recurra.kernels.log import log_once
from recurra.kernels.native.stored_weights import run_stored
from recurra.kernels.projections import without_padding
from recurra.kernels.weights import Masks, Weights

__all__ = ["intercepted", "is_intercepted", "run"]

_KERNELS = {
    "reference": reference.run,
    "aten": aten.run,
    "native": native.run,
    "native_bfloat16": partial(run_stored, "bfloat16"),
    "native_int8": partial(run_stored, "int8"),
    "scan": scan.run,
    "newton": newton.run,
    "quasi_newton": newton.run,
    "triton": triton.run,
    "triton_scan": partial(scan.run, fused=True),
    "triton_newton": partial(newton.run, fused=True),
}
_interceptors: dict[int, Callable[..., tuple[Tensor, tuple[Tensor, ...]]]] = {}


def run(
    backend: str,
    cell: Cell,
    inputs: Tensor,
    state: tuple[Tensor, ...],
    weights: Weights,
    lengths: Tensor | None = None,
    reverse: bool = False,
    masks: Masks | None = None,
    recompute: bool = False,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run a cell over a sequence; arguments and results as in `recurra.kernels.reference.run`.

    With `recompute` only the states between segments of about sqrt(T) steps are saved for the backward pass, which runs
    each segment again.

    Raises:
        ParameterError: for an unknown backend.
        BackendError: if the backend asked for by name cannot serve.
    """
    if _interceptors and not torch.compiler.is_compiling() and (kernel := _interceptors.get(get_ident())):
        return kernel(cell, without_padding(inputs, lengths), state, weights, lengths, reverse, masks)
    request = describe(
        backend,
        cell,
        inputs,
        projected=weights.weight_hr is not None,
        units_read=weights.units_read,
        state=state[0],
        lengths=lengths,
        masks=masks,
        weights=weights,
    )
    choice = choose(backend, request)
    if choice.reason and not torch.compiler.is_compiling():
        log_once(f"running on the {choice.backend} kernel: {choice.reason}")
    kernel = _KERNELS[choice.backend]
    # Function transforms refuse the hooks that recomputing needs.
    transformed = request.transformed or request.forward_mode
    if recompute and inputs.shape[0] > 1 and torch.is_grad_enabled() and not transformed:
        return _run_in_segments(kernel, cell, inputs, state, weights, lengths, reverse, masks)
    if choice.backend != "reference" or torch.compiler.is_compiling():
        return kernel(cell, inputs, state, weights, lengths, reverse, masks)
    try:
        return kernel(cell, inputs, state, weights, lengths, reverse, masks)
    except (AttributeError, TypeError, RuntimeError) as error:
        # The error that keeps the equations from being compiled is most often the error in them.
        try:
            trace(cell)
        except CellError as wrong:
            raise wrong from error
        raise


@contextmanager
def intercepted(kernel: Callable[..., tuple[Tensor, tuple[Tensor, ...]]]) -> Iterator[None]:
    """Within it every sequence of this thread runs on `kernel`, whatever backend was asked for.

    Code under torch.compile is not intercepted.

    Args:
        kernel: arguments and results as `recurra.kernels.reference.run`.
    """
    thread = get_ident()
    before = _interceptors.get(thread)
    _interceptors[thread] = kernel
    try:
        yield
    finally:
        del _interceptors[thread]
        if before is not None:
            _interceptors[thread] = before


def is_intercepted() -> bool:
    """Whether this thread is within `intercepted`."""
    return bool(_interceptors) and get_ident() in _interceptors


def _run_in_segments(
    kernel: Callable[..., tuple[Tensor, tuple[Tensor, ...]]],
    cell: Cell,
    inputs: Tensor,
    state: tuple[Tensor, ...],
    weights: Weights,
    lengths: Tensor | None,
    reverse: bool,
    masks: Masks | None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    steps = inputs.shape[0]
    size = math.ceil(math.sqrt(steps))
    outputs = []
    starts = range(0, steps, size)
    for start in reversed(starts) if reverse else starts:
        end = min(start + size, steps)
        output, state = checkpoint(
            kernel,
            cell,
            inputs[start:end],
            state,
            weights,
            None if lengths is None else (lengths - start).clamp(0, end - start),
            reverse,
            None if masks is None else masks.between(start, end),
            use_reentrant=False,
            preserve_rng_state=False,
        )
        outputs.append(output)
    return torch.cat(outputs[::-1] if reverse else outputs), state
