"""Inference that prepares once what does not change from call to call."""

from typing import NamedTuple

import torch
from torch import Tensor

from recurra.cells import Cell
from recurra.kernels.native import call as calls
from recurra.kernels.native import extension
from recurra.kernels.native.arguments import Arguments
from recurra.kernels.native.call import new_call, pointer, set_pointers
from recurra.kernels.native.forward import fused_weights, fuses, in_segments, read, written
from recurra.kernels.weights import Weights

__all__ = ["Prepared", "prepare", "run_prepared"]


class Prepared(NamedTuple):
    """Inference with weights that keep their addresses.

    Attributes:
        call: the bytes of a `Call` with all that does not depend on the sequence.
        compiled: the cell's functions.
        sizes: of each part of the state.
        fused_weights: see `recurra.kernels.native.forward.fused_weights`.
    """

    call: bytes
    compiled: extension.CompiledCell
    sizes: tuple[int, ...]
    fused_weights: int


def prepare(cell: Cell, a: Arguments, reverse: bool) -> Prepared:
    """A prepared call, from arguments with any inputs and state."""
    compiled = extension.best(cell)
    count = fused_weights(cell, compiled, a.weights)
    return Prepared(bytes(new_call(cell, a, None, reverse)), compiled, tuple(part.shape[1] for part in a.state), count)


def run_prepared(
    prepared: Prepared,
    inputs: Tensor,
    state: tuple[Tensor, ...],
    weights: Weights,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """`forward` without a backward pass, with the weights that were prepared and their present `per_unit`.

    Raises:
        MemoryError: if there is not enough memory.
    """
    steps, batch, _ = inputs.shape
    inputs, state = inputs.contiguous(), tuple([part.contiguous() for part in state])
    call = extension.Call.from_buffer_copy(prepared.call)
    call.steps, call.batch, call.threads = steps, batch, torch.get_num_threads()
    call.per_unit = pointer(weights.per_unit)
    weight_ih = weights.weight_ih
    bias_ih = weights.bias_ih if weights.norm_ih is None else None  # else it is added after the normalisation
    set_pointers(call.initial, state)
    if not prepared.compiled.mixes_units:
        return in_segments(call, prepared.compiled, inputs, weight_ih, bias_ih, state)
    fused = fuses(prepared.fused_weights, steps, batch, inputs.itemsize)
    # The projections must live while the engine reads them.
    projected = read(call, inputs, weight_ih, bias_ih, fused)
    output, final = written(call, inputs, state)
    calls.launch(prepared.compiled.forward, call, output)
    del projected
    return output, final
