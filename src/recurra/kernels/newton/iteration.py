"""All states of a sequence as the root of one system of equations, by Newton's iteration.

The unknowns are the states s_1 ... s_T of s_t = f_t(s_{t-1}) (DEER, Lim et al. 2024, section 3; ParaRNN, Danieli et al.
2025). An iteration linearises every step at the last guess, with the derivative that follows from the cell's
equations, and solves the linear recurrence that results by one scan:

s_t = f_t(g_{t-1}) + J_t (s_{t-1} - g_{t-1}),  J_t = df_t/ds at g_{t-1}, g the last guess

After k iterations the first k steps are right whatever the guess; near the root each iteration doubles the number of
right digits of all steps.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from recurra.kernels.scan.linear import linear_scan, times
from recurra.kernels.scan.sequence import matrices, previous, stacked, unstacked
from recurra.kernels.scan.steps import Steps

__all__ = ["LEAST_WINDOW", "MOST_ITERATIONS", "Solution", "solve", "stepped"]

MOST_ITERATIONS = 20
# A sequence that does not converge is halved, and its halves again, as long as they have so many steps.
LEAST_WINDOW = 32
# Of the residual |s_t - f_t(s_{t-1})| / (1 + |s_t|), in units of the dtype's rounding.
_TOLERANCE = 64


class Solution(NamedTuple):
    """What an iteration arrives at.

    Attributes:
        states: the carried parts of the state after each step, as `stacked` has them.
        iterations: linear recurrences that were solved, in the window that took most.
        windows: how many windows of steps were solved one after another.
        residual: the largest |s_t - f_t(s_{t-1})| / (1 + |s_t|), in the window where it is largest.
        converged: whether the residual is within the tolerance.
    """

    states: Tensor
    iterations: int
    windows: int
    residual: float
    converged: bool


@torch.no_grad()
def solve(
    steps: Steps, state: tuple[Tensor, ...], guess: Tensor | None = None, most_iterations: int = MOST_ITERATIONS
) -> Solution:
    """The carried parts of the state after each step.

    A sequence that does not converge is cut into windows of half the steps, each of which starts from the last
    state of the one before it. Far from the root products of many derivatives overflow, of few they do not.

    Args:
        steps: the sequence.
        state: the initial state by part.
        guess: the states from which the iteration starts, stacked. If None, the initial state at every step.
        most_iterations: after so many a window does not converge.

    Returns:
        The solution; if it has not converged, its states end with the window that has not.
    """
    count = size = steps.length
    solved: list[Solution] = []
    start = 0
    state_before = state
    while start < count:
        window = steps.between(start, start + size)
        begun = None if guess is None else guess[:, start : start + size]
        solution = _iterate(window, state_before, begun, most_iterations)
        if not solution.converged and size >= 2 * LEAST_WINDOW:
            size = -(-size // 2)
            continue
        solved.append(solution)
        if not solution.converged:
            break
        last = dict(zip(steps.equations.carried, unstacked(steps, solution.states[:, -1]), strict=True))
        state_before = tuple(last.get(k, part) for k, part in enumerate(state))
        start += size
    return Solution(
        solved[0].states if len(solved) == 1 else torch.cat([solution.states for solution in solved], 1),
        max(solution.iterations for solution in solved),
        len(solved),
        max(solution.residual for solution in solved),
        solved[-1].converged,
    )


def _iterate(steps: Steps, state: tuple[Tensor, ...], guess: Tensor | None, most_iterations: int) -> Solution:
    """`solve`, for one window."""
    initial = stacked(steps, [state[k] for k in steps.equations.carried])
    states = initial.unsqueeze(1).expand(-1, steps.length, *initial.shape[1:]) if guess is None else guess
    tolerance = _TOLERANCE * torch.finfo(initial.dtype).eps
    iterations = 0
    while True:
        before = previous(steps, state, unstacked(steps, states))
        after = stepped(steps, before)
        residual = float(((after - states).abs() / (1 + states.abs())).amax())
        # What is not finite compares false.
        if residual <= tolerance:
            return Solution(states, iterations, 1, residual, True)
        if iterations == most_iterations or not residual < float("inf"):
            return Solution(states, iterations, 1, residual, False)
        slopes = matrices(steps, before)
        read = stacked(steps, [before[k] for k in steps.equations.carried])
        states = linear_scan(slopes, after - times(slopes, read), initial)
        iterations += 1


def stepped(steps: Steps, before: list[Tensor]) -> Tensor:
    """The carried parts after each step from those before it, stacked; at padding they are the same."""
    after = steps.carried_after(before)
    if steps.valid is not None:
        read = [before[k] for k in steps.equations.carried]
        after = [torch.where(steps.valid, new, old) for new, old in zip(after, read, strict=True)]
    return stacked(steps, after)
