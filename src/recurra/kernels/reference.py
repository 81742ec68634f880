"""The readable truth: any cell, step by step, in torch operations."""

import torch
from torch import Tensor
from torch.nn.functional import linear

from recurra.cells import Cell, PerUnit, State
from recurra.kernels.weights import Weights

__all__ = ["run", "run_projected", "step"]


def step(cell: Cell, x: Tensor, state: tuple[Tensor, ...], weights: Weights) -> tuple[Tensor, ...]:
    """The state after one step.

    Args:
        cell: the equations.
        x: the input projection W_ih x_t + b_ih, (B, G * H).
        state: by part of `cell.state`; the first (B, R), the others (B, H).
        weights: of the layer; `weight_ih` and `bias_ih` are not used.
    """
    recurrent = linear(state[0], weights.weight_hh, weights.bias_hh)
    before = State(**dict(zip(cell.state, state, strict=True)))
    after = cell.update(cell.split(x), cell.split(recurrent), before, PerUnit(**weights.per_unit))
    output, *rest = (getattr(after, part) for part in cell.state)
    if weights.weight_hr is not None:
        output = linear(output, weights.weight_hr)
    return (output, *rest)


def run(
    cell: Cell,
    inputs: Tensor,
    state: tuple[Tensor, ...],
    weights: Weights,
    lengths: Tensor | None = None,
    reverse: bool = False,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run a cell over a sequence.

    Args:
        cell: the equations.
        inputs: (T, B, I).
        state: the initial state by part; the first (B, R), the others (B, H).
        weights: of the layer in this direction.
        lengths: (B,) int64 on the CPU, 0 to T; None where all are T.
        reverse: from each sequence's last step to its first.

    Returns:
        The outputs (T, B, R), zero at padding, and the final state by part.
    """
    projected = linear(inputs, weights.weight_ih, weights.bias_ih)
    return run_projected(cell, projected, state, weights, lengths, reverse)


def run_projected(
    cell: Cell,
    projected: Tensor,
    state: tuple[Tensor, ...],
    weights: Weights,
    lengths: Tensor | None = None,
    reverse: bool = False,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """As `run`, from the input projections of all steps (T, B, G * H)."""
    steps = projected.shape[0]
    valid = None
    if lengths is not None:
        valid = (torch.arange(steps).unsqueeze(1) < lengths).to(projected.device).unsqueeze(2)
    outputs: list[Tensor] = []
    for t in reversed(range(steps)) if reverse else range(steps):
        after = step(cell, projected[t], state, weights)
        output = after[0]
        if valid is not None:
            after = tuple(torch.where(valid[t], a, b) for a, b in zip(after, state, strict=True))
            output = torch.where(valid[t], output, torch.zeros_like(output))
        state = after
        outputs.append(output)
    if reverse:
        outputs.reverse()
    stacked = torch.stack(outputs) if outputs else projected.new_empty(0, *state[0].shape)
    return stacked, state
