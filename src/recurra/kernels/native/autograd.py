"""The recurrence with its backward pass, run eagerly."""

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import Tensor

from recurra.kernels import torch_state
from recurra.kernels.native import backward as backwards
from recurra.kernels.native import forward as forwards
from recurra.kernels.native import operators, vmap
from recurra.kernels.native.arguments import Arguments
from recurra.kernels.native.forward import Saved
from recurra.kernels.native.launches import Launches, run_alone, run_together
from recurra.kernels.native.operator_gradients import gives_masks
from recurra.kernels.native.prepared import Prepared

__all__ = ["Asked", "Recurrence", "general_gradients", "is_plain_backward"]


class Asked(NamedTuple):
    """The gradients that are asked of a layer in one direction.

    Attributes:
        prepared: the layer.
        flat: `Arguments.flat` of the forward pass.
        saved: by the forward pass.
        lengths: of the forward pass.
        needed: which gradients are wanted, in the order of `flat`.
        gradients: of the output and of the final state by part; None for zero.
        last: whether what is saved is read for the last time.
    """

    prepared: Prepared
    flat: Sequence[Tensor | None]
    saved: Saved
    lengths: Tensor | None
    needed: Sequence[bool]
    gradients: Sequence[Tensor | None]
    last: bool

    @property
    def is_first_derivative(self) -> bool:
        """Whether the engine's backward function gives them, outside of transforms."""
        return is_plain_backward(self.gradients) and not gives_masks(self.needed, len(self.gradients) - 1)

    def launches(self) -> Launches[list[Tensor | None]]:
        """The engine's backward function."""
        d_output, *d_final = self.gradients
        arguments, lengths = Arguments.of(self.flat), self.lengths
        return backwards.backward(
            self.prepared, arguments, self.saved, lengths, d_output, d_final, self.needed, overwrites=self.last
        )


class Recurrence(torch.autograd.Function):
    """The recurrence with its backward pass; to whatever differentiates the backward pass, it is an operator.

    It is that of one direction or of both, whose arguments and results follow one another.
    """

    @staticmethod
    def forward(
        ctx: Any, directions: tuple[Prepared, ...], lengths: Tensor | None, *flat: Tensor | None
    ) -> tuple[Tensor, ...]:
        arguments = map(Arguments.of, _parted(flat, len(directions)))
        each = [forwards.forward(*of_one, lengths, True) for of_one in zip(directions, arguments, strict=True)]
        results, saved_tensors = [], list(flat)
        ctx.directions, ctx.lengths, ctx.names = directions, lengths, ()
        for output, final, saved in run_together(each):
            assert saved is not None
            ctx.names = tuple(saved.others)
            saved_tensors += [output, saved.projected, *saved.others.values()]
            results += [output, *final]
        ctx.save_for_backward(*saved_tensors)
        ctx.set_materialize_grads(False)
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        needed, count = ctx.needs_input_grad[2:], len(ctx.directions)
        tensors = ctx.saved_tensors  # once: checkpointing computes them again at each access
        last = not torch_state.graph_is_retained() and not torch_state.grads_are_batched(gradients)
        parts = (_parted(part, count) for part in (tensors[: len(needed)], tensors[len(needed) :], needed, gradients))
        each = []
        for prepared, flat, (output, projected, *others), wanted, cotangents in zip(
            ctx.directions, *parts, strict=True
        ):
            saved = Saved(output, projected, dict(zip(ctx.names, others, strict=True)))
            each.append(Asked(prepared, flat, saved, ctx.lengths, wanted, cotangents, last))
        if count > 1 and all(asked.is_first_derivative for asked in each):
            results = run_together([asked.launches() for asked in each])
        else:
            results = [general_gradients(asked) for asked in each]
        return None, None, *chain.from_iterable(results)


def is_plain_backward(gradients: Sequence[Tensor | None]) -> bool:
    """Whether a backward pass gives first derivatives only, one for each argument."""
    watched = torch.is_grad_enabled() or torch_state.forward_mode() or torch_state.operators_are_needed()
    return not watched and not torch_state.grads_are_batched(gradients)


def general_gradients(asked: Asked) -> Sequence[Tensor | None]:
    """The gradients of `Asked.flat`, whatever torch is doing."""

    def run(cotangents: Sequence[Tensor | None]) -> Sequence[Tensor | None]:
        of_one = asked._replace(gradients=cotangents)
        if of_one.is_first_derivative:
            return run_alone(of_one.launches())
        prepared, flat, saved, lengths, needed, *_ = of_one
        return operators.run_backward(prepared.cell, flat, saved, lengths, prepared.reverse, cotangents, needed)

    return vmap.one_by_one(run, asked.gradients)


def _parted(flat: Sequence[Any], count: int) -> list[Sequence[Any]]:
    """`flat` in so many parts of one size."""
    size = len(flat) // count
    return [flat[k * size : (k + 1) * size] for k in range(count)]
