"""Layers that ONNX has operators for: LSTM, GRU and RNN, in ONNX's order of gates."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from recurra import cells
from recurra.cells import Cell
from recurra.export.onnx.equations import Arrays
from recurra.export.onnx.graph import INT32, Graph, Value

__all__ = ["Operator", "add_operator", "operator_of"]


class Operator(NamedTuple):
    """An operator of ONNX and how a cell is written with it.

    Attributes:
        kind: its name.
        gates: ONNX's order, as indices into the gates of the cell.
        attributes: beyond sizes and direction.
        activation: the only one, if it is not the operator's own.
    """

    kind: str
    gates: tuple[int, ...]
    attributes: dict[str, int]
    activation: str = ""


_OPERATORS: dict[Cell, Operator] = {
    cells.LSTM(): Operator("LSTM", (0, 3, 1, 2), {}),  # i, o, f, g
    cells.GRU(): Operator("GRU", (1, 0, 2), {"linear_before_reset": 1}),  # z, r, n
    cells.GRUResetBefore(): Operator("GRU", (1, 0, 2), {"linear_before_reset": 0}),
    cells.Elman("tanh"): Operator("RNN", (0,), {}),
    cells.Elman("relu"): Operator("RNN", (0,), {}, "Relu"),
    cells.Elman("sigmoid"): Operator("RNN", (0,), {}, "Sigmoid"),
}


def operator_of(cell: Cell, projects: bool, zoneout: Sequence[float]) -> Operator | None:
    """The operator that computes this layer; None if there is none: ONNX has neither projections nor zoneout."""
    return None if projects or any(zoneout) else _OPERATORS.get(cell)


def add_operator(
    graph: Graph,
    operator: Operator,
    directions: Sequence[Arrays],
    inputs: Value,
    state: Sequence[Value],
    lengths: Value | None,
) -> tuple[Value, list[Value]]:
    """Run a layer over sequences, in both directions if there are two.

    Args:
        graph: to which the nodes are added.
        operator: see `operator_of`.
        directions: the weights of each direction.
        inputs: (T, B, I).
        state: the initial state by part (D, B, H).
        lengths: int64 (B,), 0 to T. None: all are T.

    Returns:
        The outputs (T, B, D * H), zero at padding, and the final state by part (D, B, H).
    """
    stacked = [_stacked(operator, directions, names) for names in (("weight_ih",), ("weight_hh",))]
    biases = ("bias_ih", "bias_hh")
    has_bias = directions[0]["bias_ih"] is not None
    count, hidden = len(directions), state[0].size
    attributes: dict[str, object] = {"hidden_size": hidden, **operator.attributes}
    if count == 2:
        attributes["direction"] = "bidirectional"
    if operator.activation:
        attributes["activations"] = [operator.activation] * count
    output, *final = graph.ops(
        operator.kind,
        1 + len(state),
        inputs,
        *map(graph.constant, stacked),
        graph.constant(_stacked(operator, directions, biases)) if has_bias else None,
        None if lengths is None else graph.op("Cast", lengths, to=INT32),
        *state,
        **attributes,
    )
    if lengths is not None:
        # ONNX Runtime returns zeros for a sequence of length 0, whose final state is its initial one.
        empty = graph.op("Unsqueeze", graph.op("Equal", lengths, graph.integers(0)), graph.integers(-1))
        final = [graph.op("Where", empty, first, last) for first, last in zip(state, final, strict=True)]
    by_step = graph.op("Transpose", output, perm=(0, 2, 1, 3))
    return graph.op("Reshape", by_step, graph.integers(0, 0, count * hidden)), final


def _stacked(operator: Operator, directions: Sequence[Arrays], names: Sequence[str]) -> np.ndarray:
    """Weights or biases of all directions, (D, G * H, ...), each with its gates in ONNX's order, one after another."""
    return np.stack([np.concatenate([_ordered(operator, w[name]) for name in names]) for w in directions])


def _ordered(operator: Operator, array: np.ndarray | None) -> np.ndarray:
    assert array is not None
    by_gate = np.split(array, len(operator.gates))
    return np.concatenate([by_gate[gate] for gate in operator.gates])
