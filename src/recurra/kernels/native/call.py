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

__all__ = ["launch", "new_call", "pointer", "set_pointers", "sizes"]


def new_call(cell: Cell, a: Arguments, lengths: Tensor | None, reverse: bool) -> extension.Call:
    steps, batch, _ = a.inputs.shape
    hidden, size = sizes(cell, a)
    call = extension.Call(steps, batch, hidden, size)
    call.heads, call.reverse, call.threads = cell.heads, int(reverse), torch.get_num_threads()
    call.lengths, call.weight, call.bias = pointer(lengths), pointer(a.weights.weight_hh), pointer(a.weights.bias_hh)
    call.bias_ih, call.epsilon = pointer(a.weights.bias_ih), NORM_EPSILON
    call.norm_x, call.norm = pointer(a.weights.norm_ih), pointer(a.weights.norm_hh)
    call.per_unit, call.mask = pointer(a.weights.per_unit), pointer(a.mask)
    if a.weights.weight_hr is not None:
        call.projection, call.projection_bias = pointer(a.weights.weight_hr), pointer(a.weights.bias_hr)
        call.nonlinearity = Nonlinearity[cell.output_nonlinearity or "identity"]
    if a.zoneout:
        set_pointers(call.zoneout, a.zoneout)
        if a.zoneout[0].shape[0] == steps and a.zoneout[0].shape[1] == batch:
            call.zoneout_step, call.zoneout_row = batch * hidden, hidden
    set_pointers(call.initial, a.state)
    return call


def sizes(cell: Cell, a: Arguments) -> tuple[int, int]:
    """H and R."""
    size = a.state[0].shape[1]
    return (size if a.weights.weight_hr is None else a.weights.weight_hr.shape[1]), size


def set_pointers(pointers: Any, tensors: Sequence[Tensor | None]) -> None:
    for k, tensor in enumerate(tensors):
        pointers[k] = pointer(tensor)


def pointer(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def launch(functions: dict[int, Any], call: extension.Call, like: Tensor) -> None:
    if functions[like.element_size() * 8](call, extension.parallel()):
        raise MemoryError("the native kernel could not allocate its buffers")
