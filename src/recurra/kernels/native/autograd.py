"""The recurrence with its backward pass, run eagerly."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from recurra.kernels import torch_state
from recurra.kernels.native import operators, vmap
from recurra.kernels.native.arguments import Arguments
from recurra.kernels.native.backward import backward
from recurra.kernels.native.forward import Saved, forward
from recurra.kernels.native.operator_gradients import gives_masks
from recurra.kernels.native.prepared import Prepared

__all__ = ["Recurrence", "general_gradients", "is_plain_backward"]


class Recurrence(torch.autograd.Function):
    """The recurrence with its backward pass; to whatever differentiates the backward pass, it is an operator."""

    @staticmethod
    def forward(ctx: Any, prepared: Prepared, lengths: Tensor | None, *flat: Tensor | None) -> tuple[Tensor, ...]:
        output, final, saved = forward(prepared, Arguments.of(flat), lengths, True)
        assert saved is not None
        ctx.prepared, ctx.lengths, ctx.names = prepared, lengths, tuple(saved.others)
        ctx.save_for_backward(*flat, output, saved.projected, *saved.others.values())
        ctx.set_materialize_grads(False)
        return output, *final

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        needed = ctx.needs_input_grad[2:]
        count = len(needed)
        tensors = ctx.saved_tensors  # once: checkpointing computes them again at each access
        flat, (output, projected, *others) = tensors[:count], tensors[count:]
        saved = Saved(output, projected, dict(zip(ctx.names, others, strict=True)))
        last = not torch_state.graph_is_retained() and not torch_state.grads_are_batched(gradients)
        return None, None, *general_gradients(ctx.prepared, flat, saved, ctx.lengths, needed, gradients, last)


def is_plain_backward(gradients: Sequence[Tensor | None]) -> bool:
    """Whether a backward pass gives first derivatives only, one for each argument."""
    watched = torch.is_grad_enabled() or torch_state.forward_mode() or torch_state.operators_are_needed()
    return not watched and not torch_state.grads_are_batched(gradients)


def general_gradients(
    prepared: Prepared,
    flat: Sequence[Tensor | None],
    saved: Saved,
    lengths: Tensor | None,
    needed: Sequence[bool],
    gradients: Sequence[Tensor | None],
    last: bool,
) -> Sequence[Tensor | None]:
    """The gradients of `Arguments.flat` from those of the output and of the final state, whatever torch is doing."""

    def run(cotangents: Sequence[Tensor | None]) -> Sequence[Tensor | None]:
        plain = not (torch.is_grad_enabled() or torch_state.forward_mode() or torch_state.operators_are_needed())
        if not plain or gives_masks(needed, len(cotangents) - 1):
            cell, reverse = prepared.cell, prepared.reverse
            return operators.run_backward(cell, flat, saved, lengths, reverse, cotangents, needed)
        d_output, *d_final = cotangents
        return backward(prepared, Arguments.of(flat), saved, lengths, d_output, d_final, needed, overwrites=last)

    return vmap.one_by_one(run, gradients)
