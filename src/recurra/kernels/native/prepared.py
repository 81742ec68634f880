"""Inference with what stays the same from call to call found once."""

from typing import NamedTuple

import torch
from torch import Tensor

from recurra.cells import Cell
from recurra.kernels.native import call as calls
from recurra.kernels.native import extension
from recurra.kernels.native.arguments import Arguments
from recurra.kernels.native.call import new_call, pointer, set_pointers
from recurra.kernels.native.forward import in_segments, is_worth_fusing, may_fuse, read, written

__all__ = ["Prepared", "prepare", "run_prepared"]


class Prepared(NamedTuple):
    """Inference with weights that lie where they lie now.

    Attributes:
        call: the bytes of a `Call` with all that does not depend on the sequence.
        compiled: the cell's functions.
        sizes: of each part of the state.
        fused_weights: numbers of both weights, where the engine may make the input projection itself; else 0.
    """

    call: bytes
    compiled: extension.CompiledCell
    sizes: tuple[int, ...]
    fused_weights: int


def prepare(cell: Cell, a: Arguments, reverse: bool) -> Prepared:
    """From arguments with any inputs and state."""
    compiled = extension.best(cell)
    count = 0
    if may_fuse(cell, compiled):
        count = a.weights.weight_ih.numel() + (0 if a.weights.weight_hh is None else a.weights.weight_hh.numel())
    return Prepared(bytes(new_call(cell, a, None, reverse)), compiled, tuple(part.shape[1] for part in a.state), count)


def run_prepared(
    prepared: Prepared,
    inputs: Tensor,
    state: tuple[Tensor, ...],
    weight_ih: Tensor,
    bias_ih: Tensor | None,
    per_unit: Tensor | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """As `forward` without a backward pass, with the weights that were prepared and `per_unit` as it is now.

    Raises:
        MemoryError: where there is not enough.
    """
    steps, batch, _ = inputs.shape
    inputs, state = inputs.contiguous(), tuple([part.contiguous() for part in state])
    call = extension.Call.from_buffer_copy(prepared.call)
    call.steps, call.batch, call.threads = steps, batch, torch.get_num_threads()
    call.per_unit = pointer(per_unit)
    set_pointers(call.initial, state)
    if not prepared.compiled.mixes_units:
        return in_segments(call, prepared.compiled, inputs, weight_ih, bias_ih, state)
    fuses = prepared.fused_weights > 0 and is_worth_fusing(steps, batch, prepared.fused_weights * inputs.itemsize)
    # What it returns is kept here while the engine reads it.
    projected = read(call, inputs, weight_ih, bias_ih, fuses)
    output, final = written(call, inputs, state)
    calls.launch(prepared.compiled.forward, call, output)
    del projected
    return output, final
