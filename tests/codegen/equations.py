"""Random inputs of a traced graph, and what a cell's own equations compute from them."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from recurra.cells import Cell, Gates, PerUnit, State

Inputs = Mapping[tuple[str, str], Tensor]


def draw_inputs(cell: Cell, *shape: int) -> dict[tuple[str, str], Tensor]:
    """Random values, requiring gradients, for all inputs of one step."""
    groups = {"x": cell.gates, "u": cell.gates, "s": cell.state, "p": cell.per_unit}
    return {
        (group, name): torch.randn(*shape, dtype=torch.float64).requires_grad_()
        for group, names in groups.items()
        for name in names
    }


def update(cell: Cell, inputs: Inputs) -> tuple[Tensor, ...]:
    """The state after a step by the cell's own equations on tensors."""
    after = cell.update(*_arguments(inputs))
    return tuple(getattr(after, part) for part in cell.state)


def modulated(cell: Cell, inputs: Inputs) -> Tensor:
    """What the second-stage gates' weights read, likewise."""
    return cell.modulated(*_arguments(inputs))


def _arguments(inputs: Inputs) -> tuple[Any, ...]:
    def group(kind: type, letter: str) -> Any:
        return kind(**{name: value for (of, name), value in inputs.items() if of == letter})

    return group(Gates, "x"), group(Gates, "u"), group(State, "s"), group(PerUnit, "p")
