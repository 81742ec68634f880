"""Gradients of the states of a sequence, at the root of their equations."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from recurra.kernels.newton.iteration import most_iterations_of, state_after, stepped, tolerance_of
from recurra.kernels.scan.linear import adjoint, times
from recurra.kernels.scan.sequence import matrices, stacked
from recurra.kernels.scan.steps import Steps

__all__ = ["one_by_one", "pulled_back", "solve_adjoint"]


def solve_adjoint(steps: Steps, before: list[Tensor], gradient: Tensor) -> tuple[Tensor, Tensor] | None:
    """The gradients of what each step returns and of the first state, from those of the states.

    With g_t the gradient of s_t and J_t the derivative of a step, a_t = g_t + J_{t+1}^T a_{t+1}: a linear recurrence
    backward in time. If units mix, J_t is too large to be computed, and a is found as the states are: each iteration
    solves the recurrence of the derivatives of each unit by itself for what is missing from a.

    Args:
        steps: the sequence.
        before: each part of the state before each step.
        gradient: of the states, as `stacked` has them.

    Returns:
        a and J_1^T a_1, stacked; None if units mix and the iteration does not converge.
    """
    slopes = matrices(steps, before)
    d_after = adjoint(slopes, gradient, steps.fused)
    if not steps.mixes:
        return d_after, times(slopes[:, :, 0].transpose(0, 1), d_after[:, 0])
    carried = steps.equations.carried
    read = [part.detach().requires_grad_(k in carried) for k, part in enumerate(before)]
    with torch.enable_grad():
        after = stepped(steps, read)
    for _ in range(most_iterations_of(steps)):
        pulled = torch.autograd.grad(after, [read[k] for k in carried], d_after, retain_graph=True)
        d_before = stacked(steps, list(pulled))
        missing = gradient + torch.cat([d_before[:, 1:], torch.zeros_like(d_before[:, :1])], 1) - d_after
        if missing.abs().amax() <= tolerance_of(steps, gradient.dtype) * d_after.abs().amax():
            return d_after, d_before[:, 0]
        d_after = d_after + adjoint(slopes, missing, steps.fused)
    return None


def one_by_one(steps: Steps, state: tuple[Tensor, ...]) -> Tensor:
    """The states by the loop, stacked."""
    states = []
    for step in steps.each():
        states.append(stepped(step, [part.unsqueeze(0) for part in state]))
        state = state_after(step, state, states[-1])
    return torch.cat(states, 1)


def pulled_back(
    function: Callable[[list[Tensor]], Tensor], tensors: Sequence[Tensor], gradient: Tensor, needed: Sequence[bool]
) -> list[Tensor | None]:
    """The gradients of tensors, if needed, from that of a function of them; what else it reads is fixed."""
    differentiated = torch.is_grad_enabled()
    # Other tensors of the same values: what is fixed may depend on the tensors themselves.
    copies = [
        t.view_as(t) if differentiated else t.detach().requires_grad_(n) for t, n in zip(tensors, needed, strict=True)
    ]
    wanted = [k for k, needs in enumerate(needed) if needs]
    result: list[Tensor | None] = [None] * len(copies)
    if not wanted:
        return result
    with torch.enable_grad():
        pulled = torch.autograd.grad(
            function(copies),
            [copies[k] for k in wanted],
            gradient,
            create_graph=differentiated,
            allow_unused=True,
        )
    for k, of_tensor in zip(wanted, pulled, strict=True):
        result[k] = of_tensor
    return result
