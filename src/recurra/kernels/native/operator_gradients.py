"""The operators' derivatives."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch._C import _after_autograd_keyset, _any_requires_grad, _AutoDispatchBelowAutograd
from torch._functorch.utils import enable_single_level_autograd_function
from torch.autograd import Function

from recurra.kernels.native import second_order
from recurra.kernels.native.arguments import Arguments
from recurra.kernels.native.cell_keys import known
from recurra.kernels.native.library import BACKWARD, FORWARD, spread
from recurra.kernels.torch_state import forward_mode, transformed

__all__ = ["gives_masks", "gradients", "recurrence_autograd", "recurrence_backward_autograd"]


def gives_masks(needed: Sequence[bool], parts: int) -> bool:
    """Whether a mask is among the gradients needed of `Arguments.flat`, which the engine does not compute."""
    return any(needed[-1 - 2 * parts : -parts])


def gradients(
    key: str,
    tensors: Sequence[Tensor],
    present: Sequence[bool],
    output: Tensor,
    saved: Sequence[Tensor],
    lengths: Tensor | None,
    reverse: bool,
    cotangents: Sequence[Tensor | None],
    needed: Sequence[bool],
    trained: bool = True,
) -> list[Tensor | None]:
    """The gradients of `tensors`, with None for each that has none."""
    has_cotangent = [cotangent is not None for cotangent in cotangents]
    if not any(has_cotangent):
        return [None] * len(tensors)
    flat, flat_needed = spread(tensors, present), [bool(needs) for needs in spread(needed, present)]
    a = Arguments.of(flat)
    if gives_masks(flat_needed, len(a.state)) or not trained or forward_mode():
        results = second_order.gradients(known(key), flat, lengths, reverse, cotangents, flat_needed)
        return spread(results, needed)
    there = [cotangent for cotangent in cotangents if cotangent is not None]
    results = torch.ops.recurra.recurrence_backward(
        key, tensors, present, output, saved, lengths, reverse, there, has_cotangent, needed, 1
    )
    shared = [at is None for at, there in zip(a.rows(), present, strict=True) if there]
    shared = [is_shared for is_shared, needs in zip(shared, needed, strict=True) if needs]
    # Shared gradients have a dimension for the elements of vmap, of which there is one.
    return spread([g.squeeze(0) if is_shared else g for g, is_shared in zip(results, shared, strict=True)], needed)


class _Recurrence(Function):
    """The derivative of `recurra::recurrence`."""

    @staticmethod
    def forward(ctx: Any, keyset: Any, arguments: Sequence[Any], *tensors: Tensor) -> tuple[Tensor, ...]:
        with torch.enable_grad():  # for the levels of the transforms outside this one
            output, final, saved = _below(FORWARD, keyset, arguments)
        ctx.key, _, ctx.present, lengths, ctx.reverse, ctx.training = arguments
        ctx.parts, ctx.count = len(final), len(tensors)
        ctx.save_for_backward(*tensors, output, lengths, *saved)
        ctx.mark_non_differentiable(*saved)
        ctx.set_materialize_grads(False)
        return output, *final, *saved

    @staticmethod
    def backward(ctx: Any, *d_results: Tensor | None) -> tuple[Tensor | None, ...]:
        everything = ctx.saved_tensors  # once only: recomputing refuses a second time
        tensors, (output, lengths, *saved) = everything[: ctx.count], everything[ctx.count :]
        cotangents, needed = d_results[: 1 + ctx.parts], ctx.needs_input_grad[2:]
        ran = ctx.key, tensors, ctx.present, output, saved, lengths, ctx.reverse
        return None, None, *gradients(*ran, cotangents, needed, ctx.training)


class _RecurrenceBackward(Function):
    """The derivative of `recurra::recurrence_backward`, as a function of all arguments but the saved tensors."""

    @staticmethod
    def forward(ctx: Any, keyset: Any, arguments: Sequence[Any], *tensors: Tensor) -> tuple[Tensor, ...]:
        (
            ctx.key,
            own_tensors,
            ctx.present,
            _,
            _,
            lengths,
            ctx.reverse,
            _,
            ctx.has_cotangent,
            ctx.needed,
            ctx.vmap_size,
        ) = arguments
        ctx.count = len(own_tensors)
        ctx.save_for_backward(lengths, *tensors)
        with torch.enable_grad():
            return tuple(_below(BACKWARD, keyset, arguments))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        def divided(values: Sequence[Any]) -> tuple[list[Any], list[Any]]:
            return spread(values[: ctx.count], ctx.present), spread(values[ctx.count :], ctx.has_cotangent)

        lengths, *tensors = ctx.saved_tensors
        flat, cotangents = divided(tensors)
        wanted = [bool(wants) for part in divided(ctx.needs_input_grad[2:]) for wants in part]
        needed = [bool(needs) for needs in spread(ctx.needed, ctx.present)]
        results = second_order.gradients_of_gradients(
            known(ctx.key), flat, lengths, ctx.reverse, cotangents, needed, ctx.vmap_size, gradients, wanted
        )
        return None, None, *spread(results, ctx.needs_input_grad[2:])


def _below(operator: Any, keyset: Any, arguments: Sequence[Any]) -> Any:
    with _AutoDispatchBelowAutograd():
        return operator.redispatch(keyset & _after_autograd_keyset, *arguments)


def _apply(function: type[Function], *arguments: Any) -> Any:
    """`function.apply`, which inside a transform refuses a function that does not serve all levels at once."""
    if not transformed():
        return function.apply(*arguments)
    with enable_single_level_autograd_function():
        return super(Function, function).apply(*arguments)  # type: ignore[misc]


def recurrence_autograd(keyset: Any, *arguments: Any) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    tensors, present = arguments[1:3]
    if not (torch.is_grad_enabled() and _any_requires_grad(tensors)):
        return _below(FORWARD, keyset, arguments)
    output, *rest = _apply(_Recurrence, keyset, arguments, *tensors)
    parts = len(Arguments.of(spread(tensors, present)).state)
    return output, rest[:parts], rest[parts:]


def recurrence_backward_autograd(keyset: Any, *arguments: Any) -> list[Tensor]:
    tensors, cotangents = arguments[1], arguments[7]
    if not (torch.is_grad_enabled() and _any_requires_grad(tensors, cotangents)):
        return _below(BACKWARD, keyset, arguments)
    return list(_apply(_RecurrenceBackward, keyset, arguments, *tensors, *cotangents))
