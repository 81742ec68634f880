"""The linear recurrence s_t = A_t s_{t-1} + b_t over a whole sequence, as an associative scan."""

from typing import Any

import torch
from torch import Tensor

from recurra.kernels.torch_state import grads_are_batched, transformed
from recurra.kernels.triton.scan import fused_scan

__all__ = ["adjoint", "linear_scan", "times"]

# Steps of a chunk. The steps of all chunks are taken side by side, then those between chunks by the same means.
_CHUNK = 8
# On a CPU one step after another takes less time where a step has so many numbers: the scan touches each three times.
_SIDE_BY_SIDE = 2**13


def linear_scan(a: Tensor, b: Tensor, initial: Tensor, fused: bool = False) -> Tensor:
    """All states of a linear recurrence, (P, T, ...).

    It is differentiable any number of times, and runs under torch.func's transforms of reverse mode.

    Args:
        a: the matrices A_t, (P, P, T, ...).
        b: the shifts b_t, (P, T, ...).
        initial: the state before the first step, (P, ...).
        fused: whether a Triton kernel solves it, and the recurrences of its gradients. Else, and under a transform,
            torch operations do.
    """
    # Of mixed precision only within torch.autocast.
    dtype = torch.promote_types(torch.promote_types(a.dtype, b.dtype), initial.dtype)
    return _LinearScan.apply(a.to(dtype), b.to(dtype), initial.to(dtype), fused)  # type: ignore[no-any-return]


def times(a: Tensor, state: Tensor) -> Tensor:
    """A s, (P, ...) of (P, P, ...) and (P, ...)."""
    product = a[:, 0] * state[0]
    for j in range(1, len(state)):
        product = product + a[:, j] * state[j]
    return product


def adjoint(a: Tensor, gradient: Tensor, fused: bool = False) -> Tensor:
    """The gradient of the shifts b, (P, T, ...), from that of the states: a linear recurrence backward in time.

    With g_t the gradient of s_t it is d_t = A_{t+1}^T d_{t+1} + g_t. It is differentiable as `linear_scan` is.
    """
    dtype = torch.promote_types(a.dtype, gradient.dtype)
    return _Adjoint.apply(a.to(dtype), gradient.to(dtype), fused)  # type: ignore[no-any-return]


class _LinearScan(torch.autograd.Function):
    """The gradients of a linear recurrence are one too: backward in time, with the matrices transposed."""

    generate_vmap_rule = True

    @staticmethod
    def forward(a: Tensor, b: Tensor, initial: Tensor, fused: bool) -> Tensor:
        return fused_scan(a, b, initial) if fused and not _under_transform(b) else _scan(a, b, initial)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        a, _, initial, ctx.fused = inputs
        ctx.save_for_backward(a, initial, output)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        a, initial, states = ctx.saved_tensors
        d_b = adjoint(a, gradient, ctx.fused)
        before = torch.cat([initial.unsqueeze(1), states[:, :-1]], 1)
        return d_b.unsqueeze(1) * before, d_b, times(a[:, :, 0].transpose(0, 1), d_b[:, 0]), None


class _Adjoint(torch.autograd.Function):
    """The gradients of the recurrence backward in time are one forward in time, from zeros."""

    generate_vmap_rule = True

    @staticmethod
    def forward(a: Tensor, gradient: Tensor, fused: bool) -> Tensor:
        zeros = torch.zeros_like(gradient[:, 0])
        if fused and not _under_transform(gradient):
            return fused_scan(a, gradient, zeros, adjoint=True)
        # Backward the matrix of a step is that of the step after it, transposed; none is after the last.
        transposed = a.transpose(0, 1)
        backward = torch.cat([torch.zeros_like(a[:, :, :1]), transposed.flip(2)[:, :, :-1]], 2)
        return _scan(backward, gradient.flip(1), zeros).flip(1)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        a, _, ctx.fused = inputs
        ctx.save_for_backward(a, output)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        a, d_b = ctx.saved_tensors
        zeros = torch.zeros_like(gradient[:, 0])
        states = linear_scan(a, gradient, zeros, ctx.fused)
        before = torch.cat([zeros.unsqueeze(1), states[:, :-1]], 1)
        return d_b.unsqueeze(1) * before, states, None


def _under_transform(b: Tensor) -> bool:
    return transformed() or grads_are_batched([b])


def _scan(a: Tensor, b: Tensor, initial: Tensor) -> Tensor:
    steps = b.shape[1]
    alone = b.device.type == "cpu" and b[:, 0].numel() >= _SIDE_BY_SIDE
    if alone or steps < 2 * _CHUNK:
        return _one_by_one(a, b, initial)
    chunks = steps // _CHUNK
    whole = chunks * _CHUNK
    by_chunk_a, by_chunk_b = a[:, :, :whole].unflatten(2, (chunks, _CHUNK)), b[:, :whole].unflatten(1, (chunks, _CHUNK))
    # What the steps of a chunk up to each of them do together.
    matrices, shifts = [by_chunk_a[:, :, :, 0]], [by_chunk_b[:, :, 0]]
    for t in range(1, _CHUNK):
        matrix = by_chunk_a[:, :, :, t]
        shifts.append(_after(matrix, shifts[-1], by_chunk_b[:, :, t]))
        matrices.append(_after_each(matrix, matrices[-1]))
    ends = _scan(matrices[-1], shifts[-1], initial)
    entering = torch.cat([initial.unsqueeze(1), ends[:, :-1]], 1)
    states = [_after(matrix, entering, shift) for matrix, shift in zip(matrices[:-1], shifts[:-1], strict=True)]
    together = torch.stack([*states, ends], 2).flatten(1, 2)
    if whole == steps:
        return together
    return torch.cat([together, _one_by_one(a[:, :, whole:], b[:, whole:], ends[:, -1])], 1)


def _one_by_one(a: Tensor, b: Tensor, initial: Tensor) -> Tensor:
    state, states = initial, []
    for t in range(b.shape[1]):
        state = _after(a[:, :, t], state, b[:, t])
        states.append(state)
    return torch.stack(states, 1)


def _after(a: Tensor, state: Tensor, shift: Tensor) -> Tensor:
    """A s + b."""
    for j in range(len(state)):
        shift = torch.addcmul(shift, a[:, j], state[j])
    return shift


def _after_each(a: Tensor, before: Tensor) -> Tensor:
    """The product of the matrices a and before, (P, P, ...)."""
    product = a[:, 0].unsqueeze(1) * before[0]
    for j in range(1, len(before)):
        product = torch.addcmul(product, a[:, j].unsqueeze(1), before[j])
    return product
