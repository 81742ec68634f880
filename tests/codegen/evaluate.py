"""A traced graph computed on torch tensors, node by node, with the functions that cells themselves call."""

import operator
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from recurra import ops
from recurra.cells import Cell, Gates, PerUnit, State
from recurra.codegen.expression import Expression, reachable

Inputs = Mapping[tuple[str, str], Tensor]

_OPERATORS = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "neg": operator.neg,
    **{name: getattr(operator, name) for name in ("lt", "le", "gt", "ge", "eq", "ne")},
}


def evaluate(roots: Iterable[Expression], inputs: Inputs) -> list[Tensor]:
    """The values of nodes from the values of the inputs."""
    roots = list(roots)
    like = next(iter(inputs.values()))
    found: dict[int, Tensor] = {}
    for node in reachable(roots):
        if node.op == "input":
            found[node.index] = inputs[node.label]
        elif node.is_constant:
            found[node.index] = torch.full_like(like, node.label)
        else:
            function = _OPERATORS.get(node.op) or getattr(ops, node.op)
            found[node.index] = function(*(found[argument.index] for argument in node.arguments))
    return [found[node.index] for node in roots]


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
