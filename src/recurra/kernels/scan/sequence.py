"""A sequence of an affine cell by one scan."""

import torch
from torch import Tensor

from recurra.cells import Cell
from recurra.kernels.empty import run_empty
from recurra.kernels.scan.linear import linear_scan
from recurra.kernels.scan.steps import Steps, steps_of
from recurra.kernels.weights import Masks, Weights

__all__ = ["matrices", "previous", "results", "run", "stacked", "unstacked"]


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
    """Run an affine cell over a sequence; arguments and results as in `recurra.kernels.reference.run`.

    If `fused`, a Triton kernel solves the linear recurrences.
    """
    if inputs.shape[0] == 0 or inputs.shape[1] == 0:
        return run_empty(inputs, state, weights)
    steps = steps_of(cell, inputs, weights, lengths, reverse, masks)._replace(fused=fused)
    carried = steps.equations.carried
    states: list[Tensor] = []
    if carried:
        zeros = [part.new_zeros(()) for part in state]
        shifts = stacked(steps, [steps.hold(shift, 0.0) for shift in steps.carried_after(zeros)])
        initial = stacked(steps, [state[k] for k in carried])
        states = unstacked(steps, linear_scan(matrices(steps, zeros), shifts, initial, fused))
    return results(steps, state, states, reverse)


def matrices(steps: Steps, before: list[Tensor]) -> Tensor:
    """The derivative of each step by the carried parts before it, the identity at padding: (P, P, T, ...)."""
    rows = steps.slopes(before)
    rows = [[steps.hold(slope, float(i == j)) for j, slope in enumerate(row)] for i, row in enumerate(rows)]
    if steps.equations.blocks:
        return torch.stack([torch.stack(row) for row in rows])
    diagonal = [row[k] for k, row in enumerate(rows)]
    return (diagonal[0] if len(diagonal) == 1 else torch.cat(diagonal, -1))[None, None]


def stacked(steps: Steps, parts: list[Tensor]) -> Tensor:
    """Carried parts as a scan takes them: (P, ..., H), or (1, ..., P H) if they do not depend on each other."""
    if len(parts) == 1:
        return parts[0][None]
    return torch.stack(parts) if steps.equations.blocks else torch.cat(parts, -1)[None]


def unstacked(steps: Steps, states: Tensor) -> list[Tensor]:
    """Carried parts, each (..., H), from `stacked`."""
    # By index and not by unbind or chunk, whose results may not be changed in place.
    count = len(steps.equations.carried)
    if steps.equations.blocks:
        return [states[k] for k in range(count)]
    size = states.shape[-1] // count
    return [states[0].narrow(-1, k * size, size) for k in range(count)]


def previous(steps: Steps, state: tuple[Tensor, ...], states: list[Tensor]) -> list[Tensor]:
    """Each part of the state before each step: (T, B, H) of `states`, the carried parts; of the others a zero."""
    before = [part.new_zeros(()) for part in state]
    for k, after in zip(steps.equations.carried, states, strict=True):
        before[k] = torch.cat([state[k].unsqueeze(0), after[:-1]])
    return before


def results(
    steps: Steps, state: tuple[Tensor, ...], states: list[Tensor], reverse: bool
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The outputs and the final state.

    Args:
        steps: the sequence.
        state: the initial state by part.
        states: the carried parts after each step, each (T, B, H).
        reverse: whether the steps are processed from the last to the first.
    """
    parts = dict(zip(steps.equations.carried, states, strict=True))
    others = steps.equations.others
    for k, values in zip(others, steps.others_after(previous(steps, state, states)), strict=True):
        if steps.zoneout is None and steps.valid is None:
            parts[k] = values
            continue
        # Zoneout and padding keep what no equation reads: a scan too.
        zoneout = torch.zeros_like(values) if steps.zoneout is None else steps.zoneout[k].expand_as(values)
        added = steps.hold((1 - zoneout) * values, 0.0)
        retained = steps.hold(zoneout, 1.0)
        parts[k] = linear_scan(retained[None, None], added[None], state[k][None], steps.fused)[0]
    outputs = steps.hold(parts[0], 0.0)
    return outputs.flip(0) if reverse else outputs, tuple([parts[k][-1] for k in range(len(state))])
