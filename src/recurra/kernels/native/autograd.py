"""The recurrence with its backward pass, run eagerly."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from recurra.cells import Cell
from recurra.kernels import torch_state
from recurra.kernels.native import operators, vmap
from recurra.kernels.native.arguments import Arguments
from recurra.kernels.native.backward import backward
from recurra.kernels.native.forward import Saved, forward
from recurra.kernels.native.operator_gradients import gives_masks

__all__ = ["Recurrence"]


class Recurrence(torch.autograd.Function):
    """The recurrence with its backward pass; to whatever differentiates the backward pass, it is an operator."""

    @staticmethod
    def forward(
        ctx: Any, cell: Cell, lengths: Tensor | None, reverse: bool, *flat: Tensor | None
    ) -> tuple[Tensor, ...]:
        output, final, saved = forward(cell, Arguments.of(flat), lengths, reverse, True)
        assert saved is not None
        ctx.cell, ctx.lengths, ctx.reverse, ctx.names = cell, lengths, reverse, tuple(saved.others)
        ctx.save_for_backward(*flat, output, saved.projected, *saved.others.values())
        ctx.set_materialize_grads(False)
        return output, *final

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        count = len(ctx.needs_input_grad) - 3
        tensors = ctx.saved_tensors  # once: checkpointing computes them again at each access
        flat, (output, projected, *others) = tensors[:count], tensors[count:]
        needed = ctx.needs_input_grad[3:]
        saved = Saved(output, projected, dict(zip(ctx.names, others, strict=True)))
        last = not torch_state.graph_is_retained() and not vmap.is_batched(gradients)

        def run(cotangents: Sequence[Tensor | None]) -> Sequence[Tensor | None]:
            plain = not (torch.is_grad_enabled() or torch_state.forward_mode() or torch_state.operators_are_needed())
            if not plain or gives_masks(needed, len(cotangents) - 1):
                return operators.run_backward(ctx.cell, flat, saved, ctx.lengths, ctx.reverse, cotangents, needed)
            d_output, *d_final = cotangents
            ran = ctx.cell, Arguments.of(flat), saved, ctx.lengths, ctx.reverse
            return backward(*ran, d_output, d_final, needed, overwrites=last)

        return None, None, None, *vmap.one_by_one(run, gradients)
