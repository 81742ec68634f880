"""The engine's forward function on tensors, without autograd."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from recurra.cells import Cell
from recurra.kernels.native import call as calls
from recurra.kernels.native import extension
from recurra.kernels.native.arguments import Arguments
from recurra.kernels.native.call import new_call, pointer, set_pointers, sizes
from recurra.kernels.native.large_products import linear
from recurra.kernels.native.valid_steps import pack_valid_steps
from recurra.kernels.weights import Weights

__all__ = ["Saved", "forward", "fused_weights", "fuses", "in_segments", "read", "saved_shapes", "written"]

# The engine computes the input projection itself if both weights stay in a core's second-level cache and enough rows of
# the batch share each reading of them, or if there are so few steps that another call would take longer.
_FUSED_BYTES, _FUSED_ROWS, _FEW_STEPS = 2**20, 8, 8
# Bytes of projections made at a time, if the engine reads each once and has nothing to set up: half a second-level
# cache.
_SEGMENT_BYTES = 2**20


@dataclass(frozen=True)
class Saved:
    """What the forward pass saves for the backward pass; N is the number of valid steps of all rows.

    Attributes:
        projected: (N, G * H), the input projections, or None if they are not needed again.
        others: by name of a `Call`'s field.
    """

    output: Tensor
    projected: Tensor | None
    others: dict[str, Tensor]


def forward(
    cell: Cell, arguments: Arguments, lengths: Tensor | None, reverse: bool, training: bool, padded: bool = False
) -> tuple[Tensor, tuple[Tensor, ...], Saved | None]:
    """The outputs (T, B, R), the final state by part, and what the backward pass needs.

    Args:
        cell: the equations.
        arguments: the tensors.
        lengths: (B,) int64 on the CPU, contiguous, or None.
        reverse: from each row's last step to its first.
        training: whether there will be a backward pass.
        padded: whether saved tensors have room for T * B steps, whatever the lengths.

    Raises:
        MemoryError: if there is not enough memory.
    """
    a, compiled = arguments, extension.best(cell)
    inputs = pack_valid_steps(a.inputs, lengths)
    call = new_call(cell, a, lengths, reverse)
    steps, batch, _ = a.inputs.shape
    fused = fuses(fused_weights(cell, compiled, a.weights), steps, batch, inputs.itemsize)
    bias_ih = a.weights.bias_ih if a.weights.norm_ih is None else None  # else it is added after the normalisation
    if not training and lengths is None and not compiled.mixes_units and not a.zoneout:
        return *in_segments(call, compiled, a.inputs, a.weights.weight_ih, bias_ih, a.state), None
    projected = read(call, inputs, a.weights.weight_ih, bias_ih, fused)
    output, final = written(call, a.inputs, a.state)
    others: dict[str, Tensor] = {}
    if training:
        valid_steps = steps * batch if padded else inputs.shape[0]
        others = {name: inputs.new_empty(shape) for name, shape in saved_shapes(cell, a, valid_steps).items()}
        for name, tensor in others.items():
            setattr(call, name, tensor.data_ptr())
    calls.launch(compiled.forward, call, output)
    if not training:
        return output, final, None
    return output, final, Saved(output, None if compiled.mixes_units else projected, others)


def saved_shapes(cell: Cell, a: Arguments, valid_steps: int) -> dict[str, tuple[int, ...]]:
    """The shapes of `Saved.others`."""
    compiled, (hidden, size) = extension.best(cell), sizes(cell, a)
    gates, parts = len(cell.gates), len(cell.state)
    shapes: dict[str, tuple[int, ...]] = {}
    if parts > 1:
        shapes["history"] = (parts - 1, valid_steps, hidden)
    if compiled.saved:
        shapes["saved"] = (valid_steps, compiled.saved, hidden)
    if compiled.mixes_units:
        shapes["before"] = (valid_steps, size)
    if cell.second_stage_gates:
        shapes["modulated"] = (valid_steps, hidden)
    if a.weights.norm_hh is not None:
        shapes |= {"normed": (valid_steps, gates * hidden), "deviation": (valid_steps, gates)}
    if a.weights.norm_ih is not None:
        shapes |= {"normed_x": (valid_steps, gates * hidden), "deviation_x": (valid_steps, gates)}
    if a.weights.weight_hr is not None:
        shapes["unprojected"] = (valid_steps, hidden)
    return shapes


def fused_weights(cell: Cell, compiled: extension.CompiledCell, weights: Weights) -> int:
    """The number of elements of both weights, or 0 if the engine cannot compute the input projection."""
    if not compiled.mixes_units or cell.second_stage_gates:
        return 0
    return weights.weight_ih.numel() + (0 if weights.weight_hh is None else weights.weight_hh.numel())


def fuses(count: int, steps: int, batch: int, itemsize: int) -> bool:
    """Whether the engine computes the input projection itself; `count` is the result of `fused_weights`."""
    few = steps * batch <= _FEW_STEPS or (batch >= _FUSED_ROWS and count * itemsize <= _FUSED_BYTES)
    return count > 0 and few


def read(call: extension.Call, inputs: Tensor, weight_ih: Tensor, bias_ih: Tensor | None, fused: bool) -> Tensor | None:
    """Set what the engine reads: the inputs if `fused`, else the projections of all steps, which are returned."""
    if fused:
        call.features, call.inputs, call.weight_ih = inputs.shape[-1], inputs.data_ptr(), pointer(weight_ih)
        return None
    # One large product for all steps.
    projected = linear(inputs, weight_ih, bias_ih)
    call.x = projected.data_ptr()
    return projected


def in_segments(
    call: extension.Call,
    compiled: extension.CompiledCell,
    inputs: Tensor,
    weight_ih: Tensor,
    bias_ih: Tensor | None,
    state: tuple[Tensor, ...],
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Inference some steps at a time, whose projections are read before they leave the cache and are then freed."""
    steps, batch, _ = inputs.shape
    size = max(1, _SEGMENT_BYTES // (batch * weight_ih.shape[0] * inputs.itemsize))
    output = inputs.new_empty(steps, batch, state[0].shape[1])
    starts = range(0, steps, size)
    for start in reversed(starts) if call.reverse else starts:
        part, written = inputs[start : start + size], output[start : start + size]
        projected = linear(part, weight_ih, bias_ih)
        final = tuple([torch.empty_like(before) for before in state])
        call.steps, call.x, call.output = part.shape[0], projected.data_ptr(), written.data_ptr()
        set_pointers(call.initial, state)
        set_pointers(call.final_state, final)
        calls.launch(compiled.forward, call, output)
        state = final
    return output, state


def written(call: extension.Call, inputs: Tensor, state: Sequence[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The output and the final state, for the engine to write."""
    output = inputs.new_empty(*inputs.shape[:2], state[0].shape[1])
    final = tuple([torch.empty_like(part) for part in state])
    call.output = output.data_ptr()
    set_pointers(call.final_state, final)
    return output, final
