"""A sequence by Newton's iteration, with its exact gradients; by the loop where the iteration does not converge."""

from typing import Any

import torch
from torch import Tensor

from recurra.cells import Cell
from recurra.kernels import reference
from recurra.kernels.empty import run_empty
from recurra.kernels.log import log_once
from recurra.kernels.newton.gradients import one_by_one, pulled_back, solve_adjoint
from recurra.kernels.newton.iteration import LEAST_WINDOW, Solution, most_iterations_of, solve, stepped
from recurra.kernels.scan.sequence import previous, results, unstacked
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
    *,
    fused: bool = False,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run a cell over a sequence; arguments and results as in `recurra.kernels.reference.run`.

    If `fused`, a Triton kernel solves the linear recurrences.
    """
    if inputs.shape[0] == 0 or inputs.shape[1] == 0:
        return run_empty(inputs, state, weights)
    steps = steps_of(cell, inputs, weights, lengths, reverse, masks)._replace(fused=fused)
    if not steps.equations.carried:
        return results(steps, state, [], reverse)
    reports: list[Solution] = []
    states = _Solved.apply(steps, reports, None, len(state), *state, *steps.tensors())
    if not reports[0].converged:
        tried = f"not even for {LEAST_WINDOW} to {2 * LEAST_WINDOW} steps at a time"
        if steps.mixes:
            tried = f"in {most_iterations_of(steps)} iterations"
        log_once(
            f"running on the reference kernel: Newton's iteration does not converge for a sequence of "
            f"{type(cell).__name__}, {tried}"
        )
        return reference.run(cell, inputs, state, weights, lengths, reverse, masks)
    return results(steps, state, unstacked(steps, states), reverse)  # type: ignore[arg-type]


class _Solved(torch.autograd.Function):
    """The states, with gradients by the implicit function theorem: one linear recurrence backward in time.

    With a_t of `solve_adjoint`, the gradient of all that f_t reads besides the state is its vector-Jacobian product
    with a_t. If units mix, gradients that are differentiated again are computed by the loop.
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
        needed = ctx.needs_input_grad[4:]
        differentiated = torch.is_grad_enabled()
        if differentiated and not steps.mixes:
            # These gradients will be differentiated: the states are again a function of all else.
            states = _Solved.apply(steps, [], states.detach(), parts, *tensors)
        before = previous(steps, state, unstacked(steps, states))
        solved = None if differentiated and steps.mixes else solve_adjoint(steps, before, gradients[0])
        if solved is None:
            return None, None, None, None, *_pulled_back_by_the_loop(steps, tensors, parts, gradients[0], needed)
        d_after, first = solved
        d_state: list[Tensor | None] = [None] * parts
        for k, of_part in zip(steps.equations.carried, unstacked(steps, first), strict=True):
            d_state[k] = of_part
        d_others = pulled_back(lambda t: stepped(steps.with_tensors(t), before), others, d_after, needed[parts:])
        return None, None, None, None, *d_state, *d_others


def _pulled_back_by_the_loop(
    steps: Steps, tensors: list[Tensor], parts: int, gradient: Tensor, needed: tuple[bool, ...]
) -> list[Tensor | None]:
    """The gradients of the state and of `Steps.tensors`, step by step."""
    if not torch.is_grad_enabled():
        log_once("computing gradients step by step: the iteration of backend 'quasi_newton' does not converge for them")
    return pulled_back(lambda t: one_by_one(steps.with_tensors(t[parts:]), tuple(t[:parts])), tensors, gradient, needed)
