"""A cell's traced equations as ONNX nodes, and one step around them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recurra.cells import Cell
from recurra.codegen import trace
from recurra.codegen.expression import Expression, reachable
from recurra.export.onnx.graph import Graph, Value
from recurra.kernels import NORM_EPSILON, unpacked_products
from recurra.program.builder import as_array
from recurra.program.operations import Array

__all__ = ["Arrays", "add_equations", "add_input_projection", "add_step"]

#: The weights of one layer in one direction, by their names in `recurra.kernels.Weights`.
Arrays = Mapping[str, Array | None]

_OPERATORS = {
    "absolute": "Abs",
    "cos": "Cos",
    "exp": "Exp",
    "floor": "Floor",
    "log": "Log",
    "relu": "Relu",
    "sigmoid": "Sigmoid",
    "sin": "Sin",
    "softplus": "Softplus",
    "sqrt": "Sqrt",
    "tanh": "Tanh",
    "add": "Add",
    "sub": "Sub",
    "mul": "Mul",
    "div": "Div",
    "neg": "Neg",
    "minimum": "Min",
    "maximum": "Max",
    "where": "Where",
    "lt": "Less",
    "le": "LessOrEqual",
    "gt": "Greater",
    "ge": "GreaterOrEqual",
    "eq": "Equal",
}
_OF_OUTPUT = {"tanh": "Tanh", "sigmoid": "Sigmoid", "relu": "Relu"}


def add_input_projection(graph: Graph, cell: Cell, w: Arrays, inputs: Value) -> Value:
    """W_ih x + b_ih (..., G * H) of inputs (..., I), normalised if the cell asks for it."""
    weight = w["weight_ih"]
    assert weight is not None
    if not cell.layer_norm:
        return _affine(graph, inputs, weight, w["bias_ih"])
    gates = _normalised(graph, cell, _affine(graph, inputs, weight, None), w["norm_ih"], w["bias_ih"])
    return graph.op("Concat", *gates, axis=-1)


def add_step(
    graph: Graph, cell: Cell, w: Arrays, x: Value, state: Sequence[Value], zoneout: Sequence[float]
) -> list[Value]:
    """The state after one step, by part.

    Args:
        graph: to which the nodes are added.
        cell: the equations.
        w: the weights.
        x: the input projection (B, G * H).
        state: by part of `cell.state`, the first (B, R), the others (B, H).
        zoneout: by part, the probability that a unit keeps its value: as in evaluation, its expectation.
    """
    traced = trace(cell)
    values: dict[tuple[str, str], Any]
    sizes = cell.sizes(cell.gates, cell.units(cell.gates, x.size))
    values = {("x", gate): value for gate, value in zip(cell.gates, _split(graph, x, sizes), strict=True)}
    values |= {("s", part): value for part, value in zip(cell.state, state, strict=True)}
    per_unit = w["per_unit"]
    if per_unit is not None:
        values |= {("p", name): graph.constant(row) for name, row in zip(cell.per_unit, per_unit, strict=True)}
    if w["products"] is not None:
        values |= {("p", name): function for name, function in _products(graph, cell, w).items()}
    first_stage = len(cell.gates) - len(cell.second_stage_gates)
    recurrent = _recurrent_projection(graph, cell, w, state[0], first_stage)
    values |= {("u", gate): value for gate, value in zip(cell.gates, recurrent, strict=False)}
    if traced.modulated is not None:
        weight, bias = w["weight_hh"], w["bias_hh"]
        assert weight is not None
        modulated = add_equations(graph, [traced.modulated], values)[0]
        rows = len(weight) // len(cell.gates) * first_stage
        second_bias = None if bias is None else bias[rows:]
        second = _affine(graph, modulated, weight[rows:], second_bias)
        names = cell.second_stage_gates
        values |= {
            ("u", gate): value for gate, value in zip(names, _split(graph, second, sizes[first_stage:]), strict=True)
        }
    after = add_equations(graph, traced.after, values)
    after = [
        value if _depends_on_step(node) else graph.op("Expand", value, graph.op("Shape", before))
        for node, value, before in zip(traced.after, after, state, strict=True)
    ]
    weight_hr = w["weight_hr"]
    if weight_hr is not None:
        after[0] = _affine(graph, after[0], weight_hr, w["bias_hr"])
        if cell.output_nonlinearity in _OF_OUTPUT:
            after[0] = graph.op(_OF_OUTPUT[cell.output_nonlinearity], after[0])
    return [_after_zoneout(graph, new, old, p) for new, old, p in zip(after, state, zoneout, strict=True)]


def add_equations(graph: Graph, results: Sequence[Expression], values: Mapping[tuple[str, str], Any]) -> list[Value]:
    """The values of traced expressions, from those of their inputs by group and name, and products as functions."""
    of_node: dict[Expression, Value] = {}
    for node in reachable(results):
        arguments = [of_node[argument] for argument in node.arguments]
        if node.op == "input":
            of_node[node] = values[node.label]
        elif node.is_constant:
            of_node[node] = graph.number(node.label)
        elif node.op == "product":
            of_node[node] = values["p", node.label](*arguments)
        elif node.op == "ne":
            of_node[node] = graph.op("Not", graph.op("Equal", *arguments))
        else:
            of_node[node] = graph.op(_OPERATORS[node.op], *arguments)
    return [of_node[node] for node in results]


def _products(graph: Graph, cell: Cell, w: Arrays) -> dict[str, Callable[[Value], Value]]:
    """The cell's products by name, from the value that one multiplies."""
    packed, weight_ih = w["products"], w["weight_ih"]
    assert packed is not None
    assert weight_ih is not None
    unpacked = unpacked_products(cell, torch.from_numpy(packed), cell.units(cell.gates, len(weight_ih)))

    def function(weight: Tensor, bias: Tensor | None) -> Callable[[Value], Value]:
        return lambda value: _affine(graph, value, as_array(weight), None if bias is None else as_array(bias))

    return {name: function(*parameters) for name, parameters in unpacked.items()}


def _depends_on_step(node: Expression) -> bool:
    """Whether it has a value for each sequence, and not one for all."""
    return any(one.op == "input" and one.label[0] != "p" for one in reachable([node]))


def _recurrent_projection(graph: Graph, cell: Cell, w: Arrays, output: Value, gates: int) -> list[Value]:
    """By gate of the first stage, (B, H) each; none without a recurrence."""
    weight, bias = w["weight_hh"], w["bias_hh"]
    if weight is None:
        return []
    sizes = cell.sizes(cell.gates, cell.units(cell.gates, len(weight)))[:gates]
    rows = sum(sizes)
    weight = weight[:rows]
    first_bias = None if bias is None else bias[:rows]
    if cell.recurrence == "diagonal":
        biases = [None] * gates if first_bias is None else np.split(first_bias, gates)
        products = [graph.op("Mul", output, graph.constant(row)) for row in weight.reshape(gates, -1)]
        return [_plus(graph, product, own) for product, own in zip(products, biases, strict=True)]
    own_bias = None if cell.layer_norm else first_bias
    if cell.recurrence == "block_diagonal":
        projected = _plus(graph, _block_diagonal(graph, cell, weight, output, gates), own_bias)
    else:
        projected = _affine(graph, output, weight, own_bias)
    if cell.layer_norm:
        return _normalised(graph, cell, projected, w["norm_hh"], first_bias)
    return _split(graph, projected, sizes)


def _block_diagonal(graph: Graph, cell: Cell, weight: Array, output: Value, gates: int) -> Value:
    """A product for each head: (B, N K) as (N, B, K), times (N, K, G K), back to (B, G N K)."""
    heads, width = cell.heads, weight.shape[1]
    by_head = weight.reshape(gates, heads, width, width).transpose(1, 3, 0, 2).reshape(heads, width, gates * width)
    read = graph.op("Reshape", output, graph.integers(-1, heads, width))
    product = graph.op("MatMul", graph.op("Transpose", read, perm=(1, 0, 2)), graph.constant(by_head))
    product = graph.op("Reshape", product, graph.integers(heads, -1, gates, width))
    product = graph.op("Transpose", product, perm=(1, 2, 0, 3))
    return graph.op("Reshape", product, graph.integers(-1, gates * heads * width))


def _normalised(graph: Graph, cell: Cell, projected: Value, scale: Array | None, shift: Array | None) -> list[Value]:
    """Each gate normalised over its units."""
    assert scale is not None
    count, sizes = len(cell.gates), [projected.size // len(cell.gates)] * len(cell.gates)
    shifts = [None] * count if shift is None else [graph.constant(own) for own in np.split(shift, count)]
    return [
        graph.op("LayerNormalization", gate, graph.constant(own), own_shift, axis=-1, epsilon=NORM_EPSILON)
        for gate, own, own_shift in zip(_split(graph, projected, sizes), np.split(scale, count), shifts, strict=True)
    ]


def _affine(graph: Graph, value: Value, weight: Array, bias: Array | None) -> Value:
    return _plus(graph, graph.op("MatMul", value, graph.constant(weight.T)), bias)


def _plus(graph: Graph, value: Value, bias: Array | None) -> Value:
    return value if bias is None else graph.op("Add", value, graph.constant(bias))


def _split(graph: Graph, value: Value, sizes: Sequence[int]) -> list[Value]:
    if len(sizes) == 1:
        return [value]
    return graph.ops("Split", len(sizes), value, graph.integers(*sizes), axis=-1)


def _after_zoneout(graph: Graph, new: Value, old: Value, probability: float) -> Value:
    if not probability:
        return new
    return graph.op("Add", new, graph.op("Mul", graph.op("Sub", old, new), graph.number(probability)))
