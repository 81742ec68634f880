"""A sequence on the Triton kernel, with its backward pass."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.func import vjp

from recurra.cells import Cell
from recurra.codegen import TritonForm
from recurra.kernels import reference, torch_state
from recurra.kernels.empty import run_empty
from recurra.kernels.projections import input_projection, without_padding
from recurra.kernels.triton.load import load
from recurra.kernels.weights import Masks, Weights

__all__ = ["run"]

# Most units of a tile, unless a head has more: small tiles are many, for the many processors of a GPU.
_TILE = 64


class _Inputs(NamedTuple):
    """What the kernel reads besides the lengths, by the names of `recurra.codegen.write_triton`; each is contiguous."""

    x: Tensor
    state: Tensor
    weight: Tensor | None
    bias: Tensor | None
    per_unit: Tensor | None
    mask: Tensor | None
    zoneout: Tensor | None

    @property
    def form(self) -> TritonForm:
        """What the kernel has to read."""
        reads = "none" if self.weight is None else "own" if self.weight.shape[1] == 1 else "head"
        return TritonForm(reads, self.bias is not None, self.mask is not None, self.zoneout is not None)

    def by_name(self) -> dict[str, Tensor]:
        """Those that are there."""
        return {name: tensor for name, tensor in self._asdict().items() if tensor is not None}


def run(
    cell: Cell,
    inputs: Tensor,
    state: tuple[Tensor, ...],
    weights: Weights,
    lengths: Tensor | None = None,
    reverse: bool = False,
    masks: Masks | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run a cell over a sequence; arguments and results as in `recurra.kernels.reference.run`.

    By its recurrent weights each unit of the cell reads itself alone, or those of its head.
    """
    if inputs.shape[0] == 0 or inputs.shape[1] == 0:
        return run_empty(inputs, state, weights)
    steps, batch = inputs.shape[:2]
    x = input_projection(cell, without_padding(inputs, lengths), weights)
    mask, zoneout = (None, None) if masks is None else (masks.recurrent, masks.zoneout)
    recurrent = weights.weight_hh is not None
    read = (
        x,
        torch.stack(state),
        weights.weight_hh,
        weights.bias_hh if recurrent else None,
        weights.per_unit,
        mask if recurrent else None,
        None if zoneout is None else torch.stack([part.expand(steps, batch, -1) for part in zoneout], 1),
    )
    # Of mixed precision only within torch.autocast.
    dtype = torch.promote_types(x.dtype, state[0].dtype)
    tensors = [None if tensor is None else tensor.to(dtype).contiguous() for tensor in read]
    if torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in tensors):
        output, final = _Recurrence.apply(cell, lengths, reverse, *tensors)  # type: ignore[misc]
    else:
        output, final, _ = _forward(cell, _Inputs(*tensors), lengths, reverse, saves=False)  # type: ignore[arg-type]
    # By index: what unbind returns may not be changed in place.
    return output, tuple([final[k] for k in range(len(state))])


class _Recurrence(torch.autograd.Function):
    """The kernel with its backward pass."""

    @staticmethod
    def forward(
        ctx: Any, cell: Cell, lengths: Tensor | None, reverse: bool, *tensors: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        inputs = _Inputs(*tensors)  # type: ignore[arg-type]
        output, final, saved = _forward(cell, inputs, lengths, reverse, saves=True)
        ctx.cell, ctx.lengths, ctx.reverse = cell, lengths, reverse
        ctx.save_for_backward(*tensors, output, saved)
        return output, final

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        *tensors, output, saved = ctx.saved_tensors
        inputs, needed = _Inputs(*tensors), ctx.needs_input_grad[3:]
        masks_need = any(needed[_Inputs._fields.index(name)] for name in ("mask", "zoneout"))
        transformed = torch_state.transformed() or torch_state.grads_are_batched(gradients)
        if masks_need or torch.is_grad_enabled() or transformed or torch_state.forward_mode():
            by_name = _gradients_by_reference(ctx.cell, inputs, ctx.lengths, ctx.reverse, gradients, needed)
        else:
            by_name = _backward(ctx.cell, inputs, ctx.lengths, ctx.reverse, output, saved, gradients)
        return None, None, None, *(by_name.get(name) for name in _Inputs._fields)


def _forward(
    cell: Cell, inputs: _Inputs, lengths: Tensor | None, reverse: bool, *, saves: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The outputs, the final state, and what is saved for the backward pass."""
    kernel = load(cell, inputs.form)
    _, batch, hidden = inputs.state.shape
    steps = inputs.x.shape[0]
    fresh = inputs.x.new_empty if lengths is None else inputs.x.new_zeros
    output, final = fresh(steps, batch, hidden), torch.empty_like(inputs.state)
    saved = inputs.x.new_empty(steps, len(kernel.saved), batch, hidden) if saves else inputs.x.new_empty(0)
    pointers = inputs.by_name() | {"output": output, "final": final} | ({"saved": saved} if kernel.saved else {})
    _launch(kernel.forward, inputs, lengths, reverse, pointers, SAVES=saves)
    return output, final, saved


def _backward(
    cell: Cell,
    inputs: _Inputs,
    lengths: Tensor | None,
    reverse: bool,
    output: Tensor,
    saved: Tensor,
    gradients: Sequence[Tensor],
) -> dict[str, Tensor]:
    """The gradients of the inputs, but for those of the masks, from those of the outputs and of the final state."""
    kernel = load(cell, inputs.form)
    d_output, d_final = (gradient.contiguous() for gradient in gradients)
    batch = inputs.state.shape[1]
    dx = torch.empty_like(inputs.x) if lengths is None else torch.zeros_like(inputs.x)
    d_state = torch.empty_like(inputs.state)
    # One for each sequence: they are added up in the same order at every run.
    of_parameters = {
        f"d_{name}": tensor.new_empty(batch, *tensor.shape)
        for name, tensor in inputs.by_name().items()
        if name in ("weight", "bias", "per_unit")
    }
    pointers = inputs.by_name() | of_parameters | ({"saved": saved} if kernel.saved else {})
    pointers |= {"output": output, "d_output": d_output, "d_final": d_final, "dx": dx, "d_state": d_state}
    _launch(kernel.backward, inputs, lengths, reverse, pointers)
    summed = {name.removeprefix("d_"): tensor.sum(0) for name, tensor in of_parameters.items()}
    return {"x": dx, "state": d_state, **summed}


def _launch(
    function: Any, inputs: _Inputs, lengths: Tensor | None, reverse: bool, pointers: dict[str, Tensor], **options: bool
) -> None:
    _, batch, hidden = inputs.state.shape
    units_read = 0 if inputs.weight is None else inputs.weight.shape[1]
    width = units_read if units_read > 1 else min(hidden, _TILE)
    block = 1 << (width - 1).bit_length()
    largest = block * block if units_read > 1 else block
    like = inputs.x
    each = (
        torch.full((batch,), like.shape[0], dtype=torch.int32, device=like.device)
        if lengths is None
        else lengths.to(like.device, torch.int32)
    )
    # Triton launches on the current device.
    with torch.cuda.device_of(like):
        function[batch, -(-hidden // width)](
            **pointers,
            lengths=each,
            batch=batch,
            units=hidden,
            WIDTH=width,
            BLOCK=block,
            REVERSE=reverse,
            enable_fp_fusion=True,
            num_warps=max(1, min(4, largest // 32)),
            **options,
        )


def _gradients_by_reference(
    cell: Cell,
    inputs: _Inputs,
    lengths: Tensor | None,
    reverse: bool,
    gradients: Sequence[Tensor],
    needed: Sequence[bool],
) -> dict[str, Tensor]:
    """The gradients of the inputs that need one, in torch operations, for torch to differentiate or to transform."""
    flags = dict(zip(_Inputs._fields, needed, strict=True))
    chosen = {name: tensor for name, tensor in inputs.by_name().items() if flags[name]}

    def results(*tensors: Tensor) -> tuple[Tensor, Tensor]:
        a = inputs._replace(**dict(zip(chosen, tensors, strict=True)))
        weights = Weights(a.x.new_empty(0), a.weight, bias_hh=a.bias, per_unit=a.per_unit)
        masks = Masks(a.mask, None if a.zoneout is None else a.zoneout.unbind(1))
        output, final = reference.run_projected(cell, a.x.unbind(), a.state.unbind(), weights, lengths, reverse, masks)
        return output, torch.stack(final)

    _, pull, *_ = vjp(results, *chosen.values())
    return dict(zip(chosen, pull(tuple(gradients)), strict=True))
