"""A traced graph computed on torch tensors, node by node, with the functions that cells themselves call."""

import operator
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from recurra import ops
from recurra.codegen.expression import Expression, reachable

__all__ = ["evaluate"]

_OPERATORS: dict[str, Any] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "neg": operator.neg,
    **{name: getattr(operator, name) for name in ("lt", "le", "gt", "ge", "eq", "ne")},
}


def evaluate(roots: Iterable[Expression], inputs: Mapping[tuple[str, str], Tensor]) -> list[Tensor]:
    """The values of nodes from the values of the inputs, by group and name; all have one shape."""
    roots = list(roots)
    if not roots:
        return []
    like = next(iter(inputs.values()))
    values: dict[int, Tensor] = {}
    for node in reachable(roots):
        if node.op == "input":
            values[node.index] = inputs[node.label]
        elif node.is_constant:
            values[node.index] = torch.full_like(like, node.label)
        else:
            function = _OPERATORS.get(node.op) or getattr(ops, node.op)
            values[node.index] = function(*(values[argument.index] for argument in node.arguments))
    return [values[node.index] for node in roots]
