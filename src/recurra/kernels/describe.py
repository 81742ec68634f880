"""The request for a sequence: what is to be run, and what torch is doing at the moment."""

import torch
from torch import Tensor

from recurra.cells import Cell
from recurra.kernels import torch_state
from recurra.kernels.choose import OF_STORED, OF_TRITON, Request
from recurra.kernels.native import cell_keys, extension
from recurra.kernels.native.zero_blocks import has_zero_blocks
from recurra.kernels.triton.availability import is_interpreted, missing_reason
from recurra.kernels.weights import Masks, Weights

__all__ = ["describe", "is_large"]

# Steps from which on a scan takes less time than a loop. Without gradients a step must also have so few numbers that
# calling an operation costs more than computing it (docs/results.md).
_LONG, _FEW = 16, 2**11
_COMPILED = ("auto", "native", *OF_STORED)


def describe(
    backend: str,
    cell: Cell,
    inputs: Tensor,
    *,
    projected: bool,
    units_read: int = 0,
    state: Tensor | None = None,
    lengths: Tensor | None = None,
    masks: Masks | None = None,
    weights: Weights | None = None,
) -> Request:
    """The request for a sequence, on which the choice of a kernel depends.

    Args:
        backend: the one asked for. A cell is compiled only for a backend that may run it compiled.
        cell: the equations.
        inputs: of any shape.
        projected: whether the output is projected.
        units_read: see `Weights.units_read`.
        state: the first part of the initial state (B, R). If None, the request is that of a small batch.
        lengths: see `recurra.kernels.reference.run`.
        masks: see `recurra.kernels.reference.run`.
        weights: of the layer. If None, the request is that of a layer with dense weights.
    """
    device, traced, grad = inputs.device.type, torch_state.traced(), torch.is_grad_enabled()
    # torch.jit.trace would trace the comparison of sizes.
    large = state is not None and lengths is None and not traced and not grad and is_large(state)
    if large and weights is not None and not torch_state.operators_are_needed(inputs, weights.weight_ih):
        large = not has_zero_blocks(weights)
    return Request(
        cell,
        device,
        str(inputs.dtype),
        projected=projected,
        uncompiled=_uncompiled(cell) if backend in _COMPILED and device == "cpu" else "",
        recurrent_dropout=masks is not None and masks.recurrent is not None,
        zoneout=masks is not None and masks.zoneout is not None,
        transformed=torch_state.transformed(),
        forward_mode=torch_state.forward_mode(),
        traced=traced,
        compiled=torch.compiler.is_compiling() and grad,
        large=large,
        long=state is not None and not traced and _is_long(inputs, state),
        units_read=units_read,
        captured=torch.compiler.is_compiling(),
        interpreted=backend in OF_TRITON and is_interpreted(),
        without_triton=missing_reason() if backend in OF_TRITON else "",
        beyond_one_dnn=torch_state.autocasts_beyond_one_dnn(),
    )


def _is_long(inputs: Tensor, state: Tensor) -> bool:
    """Whether a scan takes less time than a loop of torch operations; on other devices than a CPU by assumption."""
    # An exported program is for any number of steps, which the comparison would limit.
    return (
        not torch.compiler.is_exporting()
        and inputs.shape[0] >= _LONG
        and (torch.is_grad_enabled() or inputs.device.type != "cpu" or state.numel() <= _FEW)
    )


def is_large(state: Tensor) -> bool:
    """Whether a step's matrix product is so large that the rest hardly counts."""
    return not torch.compiler.is_compiling() and state.shape[0] >= 32 and state.shape[1] >= 256


def _uncompiled(cell: Cell) -> str:
    if torch_state.autocasts():
        return "autocast chooses the precision of torch's operations only"
    return (
        cell_keys.unsupported_reason(cell_keys.key_of(cell))
        if torch.compiler.is_compiling()
        else extension.unsupported_reason(cell)
    )
