"""A traced graph computed on torch tensors, node by node, with the functions that cells themselves call."""

import operator
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from recurra import ops
from recurra.codegen.expression import Expression, reachable

__all__ = ["Program", "evaluate", "program", "run_program"]

_OPERATORS: dict[str, Any] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "neg": operator.neg,
    **{name: getattr(operator, name) for name in ("lt", "le", "gt", "ge", "eq", "ne")},
}


class Program(NamedTuple):
    """Nodes as plain values, which torch.compile can trace.

    Attributes:
        nodes: the operation of each node, the nodes it is computed from by position, and its label (see `Expression`).
        results: the positions of the nodes that were asked for.
    """

    nodes: tuple[tuple[str, tuple[int, ...], Any], ...]
    results: tuple[int, ...]


def program(roots: Iterable[Expression]) -> Program:
    """The program that computes nodes."""
    roots = list(roots)
    nodes = reachable(roots)
    position = {node.index: k for k, node in enumerate(nodes)}
    return Program(
        tuple((node.op, tuple(position[a.index] for a in node.arguments), node.label) for node in nodes),
        tuple(position[node.index] for node in roots),
    )


def run_program(program: Program, inputs: Mapping[tuple[str, str], Any]) -> list[Tensor]:
    """The values of nodes from the values of the inputs, by group and name; those of products are functions.

    The inputs may be of several shapes that broadcast together. A value that depends on none of them has the shape of
    the first.
    """
    if not program.results:
        return []
    like = next(iter(inputs.values()))
    values: list[Tensor] = []
    for op, arguments, label in program.nodes:
        if op == "input":
            values.append(inputs[label])
        elif op == "constant":
            # Without a dimension it takes the dtype of what it meets.
            dtype = torch.promote_types(like.dtype, torch.float32)
            values.append(torch.full((), label, dtype=dtype, device=like.device))
        elif op == "product":
            values.append(inputs["p", label](values[arguments[0]]))
        else:
            function = _OPERATORS[op] if op in _OPERATORS else getattr(ops, op)
            values.append(function(*[values[k] for k in arguments]))
    return [_filled(values[k], like) for k in program.results]


def evaluate(roots: Iterable[Expression], inputs: Mapping[tuple[str, str], Any]) -> list[Tensor]:
    """`run_program` of the program that computes these nodes."""
    return run_program(program(roots), inputs)


def _filled(value: Tensor, like: Tensor) -> Tensor:
    return value if value.dim() else value.to(like.dtype).expand(like.shape)
