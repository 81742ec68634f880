"""A sequence by Newton's iteration, with its exact gradients; by the loop where the iteration does not converge."""

from typing import Any

import torch
from torch import Tensor

from recurra.cells import Cell
from recurra.kernels import reference
from recurra.kernels.empty import run_empty
from recurra.kernels.log import log_once
from recurra.kernels.newton.iteration import LEAST_WINDOW, Solution, solve, stepped
from recurra.kernels.scan.linear import adjoint, times
from recurra.kernels.scan.sequence import matrices, previous, results, unstacked
from recurra.kernels.scan.steps import Steps, steps_of
from recurra.kernels.weights import Masks, Weights

__all__ = ["run"]


def run(
    cell: Cell,
    inputs: Tensor,
    state: tuple[Tensor, ...],
    weights: Weights,
    lengths: Tensor | None = None,
    reverse: bool = False,
    masks: Masks | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run a cell over a sequence; arguments and results as in `recurra.kernels.reference.run`."""
    if inputs.shape[0] == 0 or inputs.shape[1] == 0:
        return run_empty(inputs, state, weights)
    steps = steps_of(cell, inputs, weights, lengths, reverse, masks)
    if not steps.equations.carried:
        return results(steps, state, [], reverse)
    reports: list[Solution] = []
    states = _Solved.apply(steps, reports, None, len(state), *state, *steps.tensors())
    if not reports[0].converged:
        log_once(
            f"running on the reference kernel: Newton's iteration does not converge for a sequence of "
            f"{type(cell).__name__}, not even for {LEAST_WINDOW} to {2 * LEAST_WINDOW} steps at a time"
        )
        return reference.run(cell, inputs, state, weights, lengths, reverse, masks)
    return results(steps, state, unstacked(steps, states), reverse)  # type: ignore[arg-type]


class _Solved(torch.autograd.Function):
    """The states, with gradients by the implicit function theorem: one linear recurrence backward in time.

    With g_t the gradient of s_t, J_t as in `solve` and a_t = g_t + J_{t+1}^T a_{t+1}, the gradient of all that f_t
    reads besides the state is its vector-Jacobian product with a_t.
    """

    @staticmethod
    def forward(
        ctx: Any, steps: Steps, reports: list[Solution], guess: Tensor | None, parts: int, *tensors: Tensor
    ) -> Tensor:
        solution = solve(steps, tensors[:parts], guess)
        reports.append(solution)
        # A guess that needed no iteration is the caller's.
        states = solution.states if solution.iterations else solution.states.clone()
        ctx.steps, ctx.parts = steps.with_tensors([t.new_empty(0) for t in tensors[parts:]]), parts
        ctx.save_for_backward(states, *tensors)
        return states

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        parts = ctx.parts
        states, *tensors = ctx.saved_tensors
        state, others = tuple(tensors[:parts]), tensors[parts:]
        steps = ctx.steps.with_tensors(others)
        if torch.is_grad_enabled():
            # These gradients will be differentiated: the states are again a function of all else.
            states = _Solved.apply(steps, [], states.detach(), parts, *tensors)
        before = previous(steps, state, unstacked(steps, states))
        slopes = matrices(steps, before)
        d_after = adjoint(slopes, gradients[0])
        d_state: list[Tensor | None] = [None] * parts
        first = times(slopes[:, :, 0].transpose(0, 1), d_after[:, 0])
        for k, of_part in zip(steps.equations.carried, unstacked(steps, first), strict=True):
            d_state[k] = of_part
        return (
            None,
            None,
            None,
            None,
            *d_state,
            *_pulled_back(steps, before, d_after, ctx.needs_input_grad[4 + parts :]),
        )


def _pulled_back(steps: Steps, before: list[Tensor], d_after: Tensor, needed: tuple[bool, ...]) -> list[Tensor | None]:
    """The gradients of `Steps.tensors`, if needed, from those of the states; the states before a step are fixed."""
    differentiated = torch.is_grad_enabled()
    # Other tensors of the same values: the states before depend on the tensors themselves.
    others = [
        t.view_as(t) if differentiated else t.detach().requires_grad_(n)
        for t, n in zip(steps.tensors(), needed, strict=True)
    ]
    wanted = [k for k, needs in enumerate(needed) if needs]
    result: list[Tensor | None] = [None] * len(others)
    if not wanted:
        return result
    with torch.enable_grad():
        after = stepped(steps.with_tensors(others), before)
        pulled = torch.autograd.grad(
            after, [others[k] for k in wanted], d_after, create_graph=differentiated, allow_unused=True
        )
    for k, gradient in zip(wanted, pulled, strict=True):
        result[k] = gradient
    return result
