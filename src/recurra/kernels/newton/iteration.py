"""All states of a sequence as the root of one system of equations, by Newton's iteration.

The unknowns are the states s_1 ... s_T of s_t = f_t(s_{t-1}) (DEER, Lim et al. 2024, section 3; ParaRNN, Danieli et al.
2025). An iteration linearises every step at the last guess, with the derivative that follows from the cell's
equations, and solves the linear recurrence that results by one scan:

s_t = f_t(g_{t-1}) + J_t (s_{t-1} - g_{t-1}),  J_t = df_t/ds at g_{t-1}, g the last guess

After k iterations the first k steps are right whatever the guess; near the root each iteration doubles the number of
right digits of all steps. If units mix, J_t has the derivative of each unit by itself alone (the quasi-Newton variant,
Gonzalez et al. 2024): the root is the same, and an iteration adds about as many right digits as the one before.

Far from the root, products of many derivatives may overflow. Such an iteration is repeated with damped derivatives,
whose products do not grow. (Gonzalez et al. damp by a Kalman filter instead; docs/design/parallel-in-time.md compares.)
"""

from typing import NamedTuple

import torch
from torch import Tensor

from recurra.kernels.scan.linear import linear_scan, times
from recurra.kernels.scan.sequence import matrices, previous, stacked, unstacked
from recurra.kernels.scan.steps import Steps

__all__ = ["LEAST_WINDOW", "Solution", "most_iterations_of", "solve", "state_after", "stepped", "tolerance_of"]

_MOST_ITERATIONS = 20
# Of cells whose units mix, since they converge linearly.
_MOST_QUASI_ITERATIONS = 100
# A sequence that does not converge is halved, and its halves again, as long as they have so many steps.
LEAST_WINDOW = 32
# Of the residual |s_t - f_t(s_{t-1})| / (1 + |s_t|), in units of the dtype's rounding. If units mix, what is missing is
# several times the residual.
_TOLERANCE, _QUASI_TOLERANCE = 64, 16


class Solution(NamedTuple):
    """What an iteration arrives at.

    Attributes:
        states: the carried parts of the state after each step, as `stacked` has them.
        iterations: linear recurrences that were solved, repeated ones included, in the window that took most.
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
    steps: Steps, state: tuple[Tensor, ...], guess: Tensor | None = None, most_iterations: int | None = None
) -> Solution:
    """The carried parts of the state after each step.

    A sequence that does not converge is cut into windows of half the steps, each of which starts from the last
    state of the one before it. If units mix it is not cut: short windows would take as many iterations as steps.

    Args:
        steps: the sequence.
        state: the initial state by part.
        guess: the states from which the iteration starts, stacked. If None, the initial state at every step.
        most_iterations: after so many a window does not converge. If None, `most_iterations_of`.

    Returns:
        The solution; if it has not converged, its states end with the window that has not.
    """
    if most_iterations is None:
        most_iterations = most_iterations_of(steps)
    count = size = steps.length
    solved: list[Solution] = []
    start = 0
    state_before = state
    while start < count:
        window = steps.between(start, start + size)
        begun = None if guess is None else guess[:, start : start + size]
        solution = _iterate(window, state_before, begun, most_iterations)
        if not solution.converged and size >= 2 * LEAST_WINDOW and not steps.mixes:
            size = -(-size // 2)
            continue
        solved.append(solution)
        if not solution.converged:
            break
        state_before = state_after(steps, state_before, solution.states)
        start += size
    return Solution(
        solved[0].states if len(solved) == 1 else torch.cat([solution.states for solution in solved], 1),
        max(solution.iterations for solution in solved),
        len(solved),
        max(solution.residual for solution in solved),
        solved[-1].converged,
    )


def most_iterations_of(steps: Steps) -> int:
    """After so many iterations a sequence or window does not converge."""
    return _MOST_QUASI_ITERATIONS if steps.mixes else _MOST_ITERATIONS


def tolerance_of(steps: Steps, dtype: torch.dtype) -> float:
    """The residual at which an iteration ends, as a fraction of what is solved for."""
    return (_QUASI_TOLERANCE if steps.mixes else _TOLERANCE) * torch.finfo(dtype).eps


def _iterate(steps: Steps, state: tuple[Tensor, ...], guess: Tensor | None, most_iterations: int) -> Solution:
    """`solve`, for one window."""
    initial = stacked(steps, [state[k] for k in steps.equations.carried])
    states = initial.unsqueeze(1).expand(-1, steps.length, *initial.shape[1:]) if guess is None else guess
    tolerance = tolerance_of(steps, initial.dtype)
    iterations = 0
    linear: _Linear | None = None
    while True:
        before = previous(steps, state, unstacked(steps, states))
        after = stepped(steps, before)
        residual = float(((after - states).abs() / (1 + states.abs())).amax())
        # What is not finite compares false.
        if residual <= tolerance:
            return Solution(states, iterations, 1, residual, True)
        if residual < float("inf"):
            linear = _Linear(
                matrices(steps, before), stacked(steps, [before[k] for k in steps.equations.carried]), after
            )
        elif linear is not None and not linear.damped:
            linear = linear._replace(slopes=_damped(linear.slopes), damped=True)
        else:
            return Solution(states, iterations, 1, residual, False)
        if iterations == most_iterations:
            return Solution(states, iterations, 1, residual, False)
        shifts = linear.after - times(linear.slopes, linear.read)
        states = linear_scan(linear.slopes, shifts, initial, steps.fused)
        iterations += 1


class _Linear(NamedTuple):
    """All steps, linearised at a guess.

    Attributes:
        slopes: the derivatives, as `matrices` has them.
        read: the states before each step, at which they are taken.
        after: what the steps make of these.
        damped: whether the derivatives are damped.
    """

    slopes: Tensor
    read: Tensor
    after: Tensor
    damped: bool = False


def _damped(slopes: Tensor) -> Tensor:
    """Matrices (P, P, T, ...), scaled where one would enlarge the largest number of a state."""
    gain = slopes.abs().sum(1).amax(0)
    return slopes / gain.clamp(min=1)


def state_after(steps: Steps, state: tuple[Tensor, ...], states: Tensor) -> tuple[Tensor, ...]:
    """The state before the steps, with the carried parts as they are after the last of `states`."""
    last = dict(zip(steps.equations.carried, unstacked(steps, states[:, -1]), strict=True))
    return tuple([last.get(k, part) for k, part in enumerate(state)])


def stepped(steps: Steps, before: list[Tensor]) -> Tensor:
    """The carried parts after each step from those before it, stacked; at padding they are the same."""
    after = steps.carried_after(before)
    if steps.valid is not None:
        read = [before[k] for k in steps.equations.carried]
        after = [torch.where(steps.valid, new, old) for new, old in zip(after, read, strict=True)]
    return stacked(steps, after)
