"""A call of the engine: its record filled with the addresses of tensors, and launched."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from recurra.cells import Cell
from recurra.kernels.native import extension
from recurra.kernels.native.arguments import Arguments
from recurra.kernels.native.nonlinearity import Nonlinearity
from recurra.kernels.projections import NORM_EPSILON
from recurra.kernels.weights import Weights

__all__ = ["call_of_layer", "pointer", "set_pointers", "set_sequence", "set_weights", "sizes"]

# The field of a call for each of `Weights`, but for the first, which the engine reads only if it projects the inputs,
# and the products, which the engine has not.
_FIELDS = ("weight", "bias_ih", "bias", "projection", "projection_bias", "norm_x", "norm", "per_unit")


def call_of_layer(cell: Cell, weights: Weights, hidden: int, size: int, reverse: bool) -> extension.Call:
    """A call with all that does not depend on the sequence."""
    call = extension.Call(hidden=hidden, size=size, heads=cell.heads, reverse=int(reverse), epsilon=NORM_EPSILON)
    if weights.weight_hr is not None:
        call.nonlinearity = Nonlinearity[cell.output_nonlinearity or "identity"]
    set_weights(call, weights)
    return call


def set_weights(call: extension.Call, weights: Weights) -> None:
    for name, tensor in zip(_FIELDS, weights[1:-1], strict=True):
        if tensor is not None:
            setattr(call, name, tensor.data_ptr())


def set_sequence(call: extension.Call, a: Arguments, lengths: Tensor | None) -> None:
    """Set all that depends on the sequence, but for the inputs and their projection."""
    steps, batch, _ = a.inputs.shape
    call.steps, call.batch, call.threads = steps, batch, torch.get_num_threads()
    call.lengths, call.mask = pointer(lengths), pointer(a.mask)
    if a.zoneout:
        set_pointers(call.zoneout, a.zoneout)
        if a.zoneout[0].shape[0] == steps and a.zoneout[0].shape[1] == batch:
            call.zoneout_step, call.zoneout_row = batch * call.hidden, call.hidden
    set_pointers(call.initial, a.state)


def sizes(weights: Weights, state: Tensor) -> tuple[int, int]:
    """H and R, from the first part of the state (B, R)."""
    size = state.shape[1]
    return (size if weights.weight_hr is None else weights.weight_hr.shape[1]), size


def set_pointers(pointers: Any, tensors: Sequence[Tensor | None]) -> None:
    for k, tensor in enumerate(tensors):
        pointers[k] = pointer(tensor)


def pointer(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()
