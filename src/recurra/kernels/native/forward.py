"""The engine's forward function on tensors, without autograd."""

from dataclasses import dataclass

import torch
from torch import Tensor

from recurra.cells import Cell
from recurra.kernels.native import extension
from recurra.kernels.native.arguments import Arguments
from recurra.kernels.native.call import set_pointers, sizes
from recurra.kernels.native.large_products import linear
from recurra.kernels.native.launches import Launch, Launches
from recurra.kernels.native.prepared import Prepared, new_call
from recurra.kernels.native.steps import run_steps, step_programs
from recurra.kernels.native.valid_steps import pack_valid_steps
from recurra.kernels.native.zero_blocks import serves_steps

__all__ = ["Forward", "Saved", "forward", "saved_shapes"]

# The engine computes the input projection itself if both weights stay in a core's second-level cache and enough rows of
# the batch share each reading of them, or if there are so few steps that another call would take longer.
_FUSED_BYTES, _FUSED_ROWS, _FEW_STEPS = 2**20, 8, 8
# torch makes both products of a single step of so many rows: the engine would pack the weights, or read them for each
# row, for one use.
_PRODUCT_ROWS = 4
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


Forward = tuple[Tensor, tuple[Tensor, ...], Saved | None]


def forward(
    prepared: Prepared,
    arguments: Arguments,
    lengths: Tensor | None,
    training: bool,
    padded: bool = False,
) -> Launches[Forward]:
    """The outputs (T, B, R), the final state by part, and what the backward pass needs, by launches.

    Args:
        prepared: the layer.
        arguments: the tensors.
        lengths: (B,) int64 on the CPU, contiguous, or None.
        training: whether there will be a backward pass.
        padded: whether saved tensors have room for T * B steps, whatever the lengths.

    """
    a, compiled, weights = arguments, prepared.compiled, arguments.weights
    if not training and serves_steps(prepared, a):
        return *run_steps(step_programs(prepared, weights), prepared, a, lengths), None
    call = new_call(prepared, a, lengths)
    steps, batch, _ = a.inputs.shape
    bias_ih = weights.bias_ih if weights.norm_ih is None else None  # else it is added after the normalisation
    if not training and lengths is None and not compiled.mixes_units and not a.zoneout:
        output, final = yield from _in_segments(call, compiled, a.inputs, weights.weight_ih, bias_ih, a.state)
        return output, final, None
    inputs = pack_valid_steps(a.inputs, lengths)
    # Named: projections must live until the engine has run.
    projected = projected_state = None
    products = _makes_products(prepared, a, lengths)
    if products and weights.weight_hh is not None:
        bias_hh = weights.bias_hh if weights.norm_hh is None else None
        projected_state = linear(a.state[0], weights.weight_hh, bias_hh)
        call.u, call.weight = projected_state.data_ptr(), None
    if not products and _fuses(prepared.fused_weights, steps, batch, inputs.itemsize):
        call.features, call.inputs = inputs.shape[1], inputs.data_ptr()
        call.weight_ih = weights.weight_ih.data_ptr()
    else:
        # One large product for all steps.
        projected = linear(inputs, weights.weight_ih, bias_ih)
        call.x = projected.data_ptr()
    output = inputs.new_empty(steps, batch, prepared.sizes[0])
    final = tuple([torch.empty_like(part) for part in a.state])
    call.output = output.data_ptr()
    set_pointers(call.final_state, final)
    others: dict[str, Tensor] = {}
    if training:
        valid_steps = steps * batch if padded else inputs.shape[0]
        for name, shape in saved_shapes(prepared.cell, compiled, a, valid_steps).items():
            others[name] = tensor = inputs.new_empty(shape)
            setattr(call, name, tensor.data_ptr())
    yield Launch(compiled.forward, call, 8 * output.itemsize)
    del projected_state
    if not training:
        return output, final, None
    return output, final, Saved(output, None if compiled.mixes_units else projected, others)


def saved_shapes(
    cell: Cell, compiled: extension.CompiledCell, a: Arguments, valid_steps: int
) -> dict[str, tuple[int, ...]]:
    """The shapes of `Saved.others`."""
    hidden, size = sizes(a.weights, a.state[0])
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


def _makes_products(prepared: Prepared, a: Arguments, lengths: Tensor | None) -> bool:
    """Whether torch makes the products with both weights, and the engine the update only."""
    steps, batch, _ = a.inputs.shape
    return steps == 1 and batch >= _PRODUCT_ROWS and prepared.plain_product and lengths is None and a.mask is None


def _fuses(count: int, steps: int, batch: int, itemsize: int) -> bool:
    """Whether the engine computes the input projection itself; `count` is `Prepared.fused_weights`."""
    few = steps * batch <= _FEW_STEPS or (batch >= _FUSED_ROWS and count * itemsize <= _FUSED_BYTES)
    return count > 0 and few


def _in_segments(
    call: extension.Call,
    compiled: extension.CompiledCell,
    inputs: Tensor,
    weight_ih: Tensor,
    bias_ih: Tensor | None,
    state: tuple[Tensor, ...],
) -> Launches[tuple[Tensor, tuple[Tensor, ...]]]:
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
        yield Launch(compiled.forward, call, 8 * output.itemsize)
        state = final
    return output, state
