"""The readable truth: any cell, step by step, in torch operations."""

import torch
from torch import Tensor

from recurra.cells import Cell, Gates, PerUnit, State
from recurra.kernels.empty import run_empty
from recurra.kernels.products import product_functions
from recurra.kernels.projections import (
    input_projection,
    output_projection,
    recurrent_projection,
    without_padding,
)
from recurra.kernels.weights import Masks, Weights

__all__ = ["run", "run_projected", "step"]


def step(
    cell: Cell, x: Tensor, state: tuple[Tensor, ...], weights: Weights, masks: Masks | None = None, t: int = 0
) -> tuple[Tensor, ...]:
    """The state after one step.

    Args:
        cell: the equations.
        x: the input projection W_ih x_t + b_ih, (B, G * H).
        state: by part of `cell.state`; the first (B, R), the others (B, H), or of a size of their own.
        weights: of the layer; `weight_ih`, `bias_ih` and `norm_ih` are not used.
        masks: of recurrent dropout and zoneout, or None.
        t: the time of the step in the masks.
    """
    return _step(cell, x, state, weights, _parameters(cell, weights), masks, t)


def _parameters(cell: Cell, weights: Weights) -> PerUnit:
    """The per-unit parameters by name, and the products as functions."""
    per_unit = zip(cell.per_unit, () if weights.per_unit is None else weights.per_unit, strict=True)
    hidden = cell.units(cell.gates, weights.weight_ih.shape[0])
    if not cell.products():
        return PerUnit(**dict(per_unit))
    packed = weights.weight_ih.new_empty(0) if weights.products is None else weights.products
    return PerUnit(**dict(per_unit), **product_functions(cell, packed, hidden))


def _step(
    cell: Cell,
    x: Tensor,
    state: tuple[Tensor, ...],
    weights: Weights,
    parameters: PerUnit,
    masks: Masks | None,
    t: int,
) -> tuple[Tensor, ...]:
    """`step` with the cell's parameters, which are unpacked once a sequence."""
    fed = state[0] if masks is None or masks.recurrent is None else state[0] * masks.recurrent
    before = State(**dict(zip(cell.state, state, strict=True)))
    inputs = cell.split(x)
    recurrent = recurrent_projection(cell, fed, weights)
    if cell.second_stage_gates:
        assert recurrent is not None
        second_stage = len(cell.second_stage_gates)
        first_stage = dict(
            zip(cell.gates[:-second_stage], recurrent.chunk(len(cell.gates) - second_stage, dim=-1), strict=True)
        )
        # The equations of the second-stage gates see the output as the recurrent weights do.
        seen = State(**{**vars(before), cell.state[0]: fed})
        modulated = recurrent_projection(
            cell, cell.modulated(inputs, Gates(**first_stage), seen, parameters), weights, True
        )
        assert modulated is not None
        recurrent = torch.cat([recurrent, modulated], dim=-1)
    gates = Gates() if recurrent is None else cell.split(recurrent)
    after = cell.update(inputs, gates, before, parameters)
    parts = (getattr(after, part) for part in cell.state)
    units = getattr(inputs, [gate for gate in cell.gates if gate not in cell.widths()][0])  # noqa: RUF015 (torch.compile)
    # A number stands for a state of that number, as in compiled equations.
    shapes = (units, *state[1:])
    new = tuple(
        part if isinstance(part, Tensor) else torch.full_like(like, part)
        for part, like in zip(parts, shapes, strict=True)
    )
    new = (output_projection(cell, new[0], weights), *new[1:])
    if masks is None or masks.zoneout is None:
        return new
    zoneout = (mask[t if mask.shape[0] > 1 else 0] for mask in masks.zoneout)
    return tuple(a + mask * (b - a) for a, b, mask in zip(new, state, zoneout, strict=True))


def run(
    cell: Cell,
    inputs: Tensor,
    state: tuple[Tensor, ...],
    weights: Weights,
    lengths: Tensor | None = None,
    reverse: bool = False,
    masks: Masks | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run a cell over a sequence.

    Args:
        cell: the equations.
        inputs: (T, B, I).
        state: the initial state by part; the first (B, R), the others (B, H).
        weights: of the layer in this direction.
        lengths: (B,) int64 on the CPU, 0 to T. If None, all are T.
        reverse: from each sequence's last step to its first.
        masks: of recurrent dropout and zoneout, or None.

    Returns:
        The outputs (T, B, R), zero at padding, and the final state by part.
    """
    # Not indexed step by step: the gradient of each index would be as large as all steps.
    projected = input_projection(cell, without_padding(inputs, lengths), weights).unbind()
    if not projected:
        return run_empty(inputs, state, weights)
    return run_projected(cell, projected, state, weights, lengths, reverse, masks)


def run_projected(
    cell: Cell,
    projected: tuple[Tensor, ...],
    state: tuple[Tensor, ...],
    weights: Weights,
    lengths: Tensor | None,
    reverse: bool,
    masks: Masks | None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """`run` from the input projection of each step, (B, G * H), at least one; the weights are those of `step`."""
    steps = len(projected)
    valid = None
    if lengths is not None:
        valid = (torch.arange(steps).unsqueeze(1) < lengths).to(projected[0].device).unsqueeze(2)
    parameters = _parameters(cell, weights)
    outputs: list[Tensor] = []
    for t in reversed(range(steps)) if reverse else range(steps):
        after = _step(cell, projected[t], state, weights, parameters, masks, t)
        output = after[0]
        if valid is not None:
            after = tuple(torch.where(valid[t], a, b) for a, b in zip(after, state, strict=True))
            output = torch.where(valid[t], output, torch.zeros_like(output))
        state = after
        outputs.append(output)
    if reverse:
        outputs.reverse()
    return torch.stack(outputs), state
