"""The nonlinearities that a cell's gates pass through, and their values over a recording."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from recurra.cells import Cell, Gates, PerUnit, State
from recurra.codegen.evaluate import evaluate
from recurra.codegen.expression import FUNCTIONS, Expression, reachable
from recurra.codegen.trace import trace
from recurra.inspection.segment import Segment
from recurra.kernels import reference

__all__ = ["Activation", "gate_activations", "gate_values"]

_BOUNDED = ("sigmoid", "tanh", "relu")


@dataclass(frozen=True)
class Activation:
    """A nonlinearity in a cell's equations that gates reach directly, through no other nonlinearity.

    Attributes:
        gate: the gate, or the product of the cell's own, or several joined by "+"; numbered where the same gate passes
            through the same function twice.
        function: "sigmoid", "tanh" or "relu".
        node: in the trace of the cell.
    """

    gate: str
    function: str
    node: Expression


def gate_activations(cell: Cell) -> tuple[Activation, ...]:
    """Where the gates of a cell pass through sigmoid, tanh or relu, from the trace of its equations.

    Raises:
        CellError: if the equations cannot be traced.
    """
    traced = trace(cell)
    nonlinear = frozenset(node for node in reachable(traced.results) if node.op in FUNCTIONS)
    products = frozenset(node for node in reachable(traced.results) if node.op == "product")
    activations = []
    counts: Counter[tuple[str, str]] = Counter()
    for node in sorted(nonlinear, key=lambda node: node.index):
        if node.op not in _BOUNDED:
            continue
        near = reachable(node.arguments, stop=nonlinear | products)
        projections = (n.label[1] for n in near if n.op == "input" and n.label[0] in "xu")
        gates = dict.fromkeys([*projections, *(n.label for n in near if n in products)])
        if gates:
            gate = "+".join(gates)
            counts[gate, node.op] += 1
            times = counts[gate, node.op]
            activations.append(Activation(gate if times == 1 else f"{gate} ({times})", node.op, node))
    order = {gate: k for k, gate in enumerate(cell.gates)}
    return tuple(sorted(activations, key=lambda a: order.get(a.gate, len(order))))


@torch.no_grad()
def gate_values(segment: Segment) -> dict[Activation, Tensor]:
    """What each of `gate_activations` was at every true step of every sequence, (N, H).

    Raises:
        CellError: if the equations cannot be traced.
    """
    activations = gate_activations(segment.cell)
    values = _inputs(segment)
    valid = segment.valid.flatten()
    computed = evaluate([activation.node for activation in activations], values)
    return {activation: tensor[valid] for activation, tensor in zip(activations, computed, strict=True)}


def _inputs(segment: Segment) -> dict[tuple[str, str], Tensor]:
    """The arguments of `update` at all steps of all sequences, each (T * B, H)."""
    before = tuple(part.flatten(0, 1) for part in segment.before())
    watching = _Watching(segment.cell)
    # All steps at once: each starts from the state that was recorded before it.
    reference.step(watching, segment.projected().flatten(0, 1), before, segment.weights, None)  # type: ignore[arg-type]
    return watching.arguments


class _Watching:
    """A cell that records the arguments of its `update`."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self.arguments: dict[tuple[str, str], Tensor] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cell, name)

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        for group, values in zip("xusp", (x, u, s, p), strict=True):
            self.arguments |= {(group, name): value for name, value in vars(values).items()}
        return self._cell.update(x, u, s, p)
