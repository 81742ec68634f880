"""Recurrent layers and cells, of any equations: stacked, in both directions, with states and lengths."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from recurra.errors import ExportError
from recurra.export.onnx.context import Context, mask_of
from recurra.export.onnx.equations import Arrays, add_input_projection, add_step
from recurra.export.onnx.graph import Graph, Shape, Value
from recurra.export.onnx.operators import add_operator, operator_of
from recurra.export.onnx.scan import add_scan
from recurra.kernels import Weights
from recurra.layers.parameters import as_weights, parameters_by_name
from recurra.program.builder import as_array

__all__ = ["add_cell", "add_recurrent"]


def add_recurrent(
    context: Context,
    layer: Any,
    name: str,
    inputs: Value,
    state: Any = None,
    lengths: Value | None = None,
    batch_first: bool = False,
    elapsed: Value | None = None,
) -> tuple[Value, Any]:
    """Run a layer such as `Recurrent`.

    Args:
        context: to whose graph the nodes are added.
        layer: with the attributes of `Recurrent`.
        name: of the module in the model.
        inputs: (T, B, I), or (B, T, I) with `batch_first`.
        state: the initial state, as the layer's `forward` takes it. None: an input of the graph.
        lengths: int64 (B,). None: all are T.
        batch_first: the layout of input and output.
        elapsed: the times since the last step (T, B, E), or (B, T, E) with `batch_first`. None: all are 1.

    Returns:
        The output, in the input's layout, and the final state, as the layer's `forward` returns it.

    Raises:
        ExportError: if the input does not fit.
    """
    graph, cell = context.graph, layer.cell
    _check(inputs, 3, layer.input_size, name)
    x = graph.op("Transpose", inputs, perm=(1, 0, 2)) if batch_first else inputs
    directions = 2 if layer.bidirectional else 1
    count = layer.num_layers * directions
    shapes: list[Shape] = [(count, x.shape[1], size) for size in layer.state_sizes]
    parts = _initial(context, name, cell.state, shapes, state, x)
    operator = operator_of(cell, bool(layer.proj_size), layer.zoneout)
    valid = None
    if lengths is not None and operator is None:
        valid = graph.op("Unsqueeze", mask_of(graph, x, lengths, time=0), graph.integers(2))
    if elapsed is not None:
        _check(elapsed, 3, layer.elapsed_size, name)
        elapsed = graph.op("Transpose", elapsed, perm=(1, 0, 2)) if batch_first else elapsed
    finals: list[list[Value]] = []
    for k in range(layer.num_layers):
        timed = elapsed is not None
        weights = [_arrays(layer.weights_of(k, bool(reverse), reads_elapsed=timed)) for reverse in range(directions)]
        own = [_part(graph, part, k * directions, directions) for part in parts]
        if operator is not None:
            x, final = add_operator(graph, operator, weights, x, own, lengths)
        else:
            x, final = _both_directions(graph, layer, weights, x, own, valid, elapsed)
        finals.append(final)
    last = [part[0] if len(part) == 1 else graph.op("Concat", *part, axis=0) for part in zip(*finals, strict=True)]
    if state is None:
        context.final(name, last)
    output = graph.op("Transpose", x, perm=(1, 0, 2)) if batch_first else x
    return output, tuple(last) if len(last) > 1 else last[0]


def add_cell(context: Context, module: Any, name: str, inputs: Value, state: Any = None) -> Any:
    """Run one step of a module such as `RecurrentCell`, on inputs (B, I).

    Returns:
        The state after the step, as the module's `forward` returns it.

    Raises:
        ExportError: if the input does not fit.
    """
    graph, cell = context.graph, module.cell
    _check(inputs, 2, module.input_size, name)
    shapes: list[Shape] = [(inputs.shape[0], size) for size in module.state_sizes]
    parts = _initial(context, name, cell.state, shapes, state, inputs)
    w = _arrays(as_weights(cell, parameters_by_name(module, module._names)))
    after = add_step(graph, cell, w, add_input_projection(graph, cell, w, inputs), parts, module.zoneout)
    if state is None:
        context.final(name, after)
    return tuple(after) if len(after) > 1 else after[0]


def _both_directions(
    graph: Graph,
    layer: Any,
    weights: Sequence[Arrays],
    inputs: Value,
    state: Sequence[Value],
    valid: Value | None,
    elapsed: Value | None,
) -> tuple[Value, list[Value]]:
    """The outputs (T, B, D * R) of a layer written as Scan, and the final state by part (D, B, H)."""
    outputs, finals = [], []
    for reverse, w in enumerate(weights):
        x = inputs
        if elapsed is not None:
            x = graph.op("Concat", x, _backward(graph, elapsed, valid) if reverse else elapsed, axis=2)
        own = [graph.op("Gather", part, graph.constant(np.array(reverse, np.int64)), axis=0) for part in state]
        output, final = add_scan(graph, layer.cell, w, x, own, valid, bool(reverse), layer.zoneout)
        outputs.append(output)
        finals.append([graph.op("Unsqueeze", part, graph.integers(0)) for part in final])
    if len(outputs) == 1:
        return outputs[0], finals[0]
    joined = [graph.op("Concat", *parts, axis=0) for parts in zip(*finals, strict=True)]
    return graph.op("Concat", *outputs, axis=-1), joined


def _backward(graph: Graph, elapsed: Value, valid: Value | None) -> Value:
    """The times (T, B, E) to the step after each; that of the first step at the last."""
    zero, one, end = graph.integers(0), graph.integers(1), graph.integers(np.iinfo(np.int64).max)
    first = graph.op("Slice", elapsed, zero, one, zero)
    after = graph.op("Concat", graph.op("Slice", elapsed, one, end, zero), first, axis=0)
    if valid is None:
        return after
    start = graph.op("Slice", valid, zero, one, zero)
    never = graph.op("And", start, graph.op("Not", start))
    has_next = graph.op("Concat", graph.op("Slice", valid, one, end, zero), never, axis=0)
    return graph.op("Where", has_next, after, first)


def _initial(
    context: Context, name: str, parts: tuple[str, ...], shapes: list[Shape], state: Any, x: Value
) -> list[Value]:
    graph = context.graph
    if state is not None:
        initial = list(state) if isinstance(state, tuple | list) else [state]
        for one, shape in zip(initial, shapes, strict=False):
            if not isinstance(one, Value) or len(one.shape) != len(shape):
                raise ExportError(f"{name}: its initial state must be tensors of {len(shape)} dimensions, got {one!r}")
        if len(initial) != len(parts):
            raise ExportError(f"{name}: its initial state has the parts {', '.join(parts)}, got {len(initial)} tensors")
        return initial
    if inputs := context.initial(name, parts, shapes):
        return inputs
    axis = len(x.shape) - 2
    batch = graph.op("Shape", x, start=axis, end=axis + 1)
    zeros = []
    for shape in shapes:
        sizes = [batch if size == x.shape[axis] else graph.integers(int(size)) for size in shape]
        zeros.append(graph.op("Expand", graph.number(0.0), graph.op("Concat", *sizes, axis=0)))
    return [Value(zero.name, zero.type, shape) for zero, shape in zip(zeros, shapes, strict=True)]


def _part(graph: Graph, part: Value, first: int, count: int) -> Value:
    """Rows of a part of the state (D * L, B, H)."""
    if part.shape[0] == count:
        return part
    return graph.op("Slice", part, graph.integers(first), graph.integers(first + count), graph.integers(0))


def _arrays(weights: Weights) -> Arrays:
    return {key: None if tensor is None else as_array(tensor) for key, tensor in weights._asdict().items()}


def _check(inputs: Value, dimensions: int, features: int, name: str) -> None:
    letters = {2: "(B, I)", 3: "(B, T, I) or (T, B, I)"}[dimensions]
    if len(inputs.shape) != dimensions or inputs.shape[-1] != features:
        raise ExportError(f"{name or 'the model'}: expected {letters} with I = {features}, got {inputs.shape}")
