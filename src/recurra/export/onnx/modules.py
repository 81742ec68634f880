"""Modules as ONNX nodes: one function for each class."""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from recurra.errors import ExportError
from recurra.export.onnx.context import Context, ends_of, mask_of
from recurra.export.onnx.graph import FLOAT, INT64, Graph, Value
from recurra.export.onnx.packed import Packed
from recurra.export.onnx.recurrent import add_cell, add_recurrent
from recurra.export.recurrent_modules import CELLS, LAYERS
from recurra.layers import VariationalDropout
from recurra.models.pooling import Pooling
from recurra.program.builder import as_array

__all__ = ["add_module", "has_form", "linear"]

_Function = Callable[..., Any]
_F = TypeVar("_F", bound=_Function)
_FUNCTIONS: dict[type[nn.Module], _Function] = {}

_OF_CLASS = {nn.Tanh: "Tanh", nn.Sigmoid: "Sigmoid", nn.ReLU: "Relu", nn.Softplus: "Softplus"}


def has_form(module: nn.Module) -> bool:
    """Whether there is a function for exactly this class of modules."""
    return type(module) in _FUNCTIONS


def add_module(context: Context, module: nn.Module, name: str, *args: Any, **kwargs: Any) -> Any:
    """Add the nodes of a module, called with these arguments; returns what its `forward` returns.

    A `Value` stands in the place of each tensor.

    Raises:
        ExportError: if the module has no form in ONNX, or an argument does not fit.
    """
    if not has_form(module):
        raise ExportError(f"{name or 'the model'}: a {type(module).__name__} has no form in ONNX here")
    for argument in args[:1]:
        if not isinstance(argument, Value | Packed):
            raise ExportError(f"{name}: expected a tensor, got a {type(argument).__name__}")
    return _FUNCTIONS[type(module)](context, module, name, *args, **kwargs)


def linear(graph: Graph, value: Value, weight: torch.Tensor, bias: torch.Tensor | None = None) -> Value:
    """weight value + bias, over the last dimension."""
    product = graph.op("MatMul", value, graph.constant(as_array(weight).T))
    return product if bias is None else graph.op("Add", product, graph.constant(as_array(bias)))


def _writes(*kinds: type[nn.Module]) -> Callable[[_F], _F]:
    def register(function: _F) -> _F:
        _FUNCTIONS.update(dict.fromkeys(kinds, function))
        return function

    return register


@_writes(nn.Dropout, nn.Identity, VariationalDropout)
def _nothing(context: Context, module: nn.Module, name: str, value: Value) -> Value:
    return value


@_writes(*_OF_CLASS)
def _elementwise(context: Context, module: nn.Module, name: str, value: Value) -> Value:
    return context.graph.op(_OF_CLASS[type(module)], value)


@_writes(nn.SiLU)
def _silu(context: Context, module: nn.Module, name: str, value: Value) -> Value:
    return context.graph.op("Mul", value, context.graph.op("Sigmoid", value))


@_writes(nn.Softmax, nn.LogSoftmax)
def _softmax(context: Context, module: nn.Softmax | nn.LogSoftmax, name: str, value: Value) -> Value:
    if module.dim is None:
        raise ExportError(f"{name}: dim: expected a dimension, got None")
    return context.graph.op("Softmax" if isinstance(module, nn.Softmax) else "LogSoftmax", value, axis=module.dim)


@_writes(nn.Linear)
def _linear(context: Context, module: nn.Linear, name: str, value: Value) -> Value:
    if value.size != module.in_features:
        raise ExportError(f"{name}: expected {module.in_features} features, got {value.size}")
    return linear(context.graph, value, module.weight, module.bias)


@_writes(nn.Embedding)
def _embedding(context: Context, module: nn.Embedding, name: str, value: Value) -> Value:
    if value.type != INT64:
        raise ExportError(f"{name}: expected ids of int64; an embedding reads the input of the model")
    if module.max_norm is not None:
        raise ExportError(f"{name}: max_norm: expected None, got {module.max_norm}; scale the weights before")
    return context.graph.op("Gather", context.graph.constant(as_array(module.weight)), value, axis=0)


@_writes(nn.LayerNorm)
def _layer_norm(context: Context, module: nn.LayerNorm, name: str, value: Value) -> Value:
    graph = context.graph
    scale = np.ones(module.normalized_shape, np.float32) if module.weight is None else as_array(module.weight)
    shift = None if module.bias is None else graph.constant(as_array(module.bias))
    axis = -len(module.normalized_shape)
    return graph.op("LayerNormalization", value, graph.constant(scale), shift, axis=axis, epsilon=module.eps)


@_writes(nn.BatchNorm1d)
def _batch_norm(context: Context, module: nn.BatchNorm1d, name: str, value: Value) -> Value:
    """As in evaluation: by the running mean and variance."""
    if module.running_mean is None or module.running_var is None:
        raise ExportError(f"{name}: track_running_stats: expected True, got False: the batch would change the result")
    scale = torch.ones_like(module.running_var) if module.weight is None else module.weight
    shift = torch.zeros_like(module.running_mean) if module.bias is None else module.bias
    values = [context.graph.constant(as_array(t)) for t in (scale, shift, module.running_mean, module.running_var)]
    return context.graph.op("BatchNormalization", value, *values, epsilon=module.eps)


@_writes(nn.Conv1d)
def _conv(context: Context, module: nn.Conv1d, name: str, value: Value) -> Value:
    if module.padding_mode != "zeros" or isinstance(module.padding, str):
        raise ExportError(f"{name}: padding: expected a number of zeros, got {module.padding!r}, {module.padding_mode}")
    graph, (padding,) = context.graph, module.padding
    bias = None if module.bias is None else graph.constant(as_array(module.bias))
    attributes = {"dilations": module.dilation, "strides": module.stride, "group": module.groups}
    weight = graph.constant(as_array(module.weight))
    result = graph.op("Conv", value, weight, bias, pads=(padding, padding), **attributes)
    same = module.stride == (1,) and 2 * padding == module.dilation[0] * (module.kernel_size[0] - 1)
    # Inference does not know that a dimension without a size stays the same.
    return Value(result.name, result.type, (*result.shape[:2], value.shape[2])) if same else result


@_writes(Pooling)
def _pooling(context: Context, module: Pooling, name: str, value: Value, lengths: Value | None = None) -> Value:
    graph = context.graph
    ends = ends_of(graph, value, lengths)
    valid = graph.op("Unsqueeze", mask_of(graph, value, ends), graph.integers(2))
    output = graph.op("Where", valid, value, graph.number(0.0))
    parts = [_pooled(context, module, kind, output, valid, ends) for kind in module.kinds]
    return parts[0] if len(parts) == 1 else graph.op("Concat", *parts, axis=1)


def _pooled(context: Context, module: Pooling, kind: str, output: Value, valid: Value, ends: Value) -> Value:
    graph = context.graph
    axis = graph.integers(1)
    if kind == "mean":
        steps = graph.op("Cast", graph.op("Max", ends, graph.integers(1)), to=FLOAT)
        return graph.op("Div", _sum(graph, output), graph.op("Unsqueeze", steps, axis))
    lowest = graph.number(float(np.finfo(np.float32).min))
    if kind == "max":
        largest = graph.op("ReduceMax", graph.op("Where", valid, output, lowest), axes=[1], keepdims=0)
        empty = graph.op("Unsqueeze", graph.op("Equal", ends, graph.integers(0)), axis)
        return graph.op("Where", empty, graph.number(0.0), largest)
    if kind == "attention":
        assert module.scores is not None
        hidden, _, last = module.scores
        scores = add_module(context, hidden, "", output)
        scores = add_module(context, last, "", graph.op("Tanh", scores))
        weights = graph.op("Softmax", graph.op("Where", valid, scores, lowest), axis=1)
        return _sum(graph, graph.op("Mul", graph.op("Where", valid, weights, graph.number(0.0)), output))
    # What is left of the output without the steps before the last.
    later = graph.op("Sub", ends, graph.integers(1))
    before_last = graph.op("Unsqueeze", mask_of(graph, output, later), graph.integers(2))
    last = _sum(graph, graph.op("Where", before_last, graph.number(0.0), output))
    if not module.bidirectional:
        return last
    first = graph.op("Unsqueeze", mask_of(graph, output, graph.integers(1)), graph.integers(2))
    half = module.size // 2
    forward = graph.ops("Split", 2, last, graph.integers(half, half), axis=1)[0]
    entered = _sum(graph, graph.op("Where", first, output, graph.number(0.0)))
    return graph.op("Concat", forward, graph.ops("Split", 2, entered, graph.integers(half, half), axis=1)[1], axis=1)


def _sum(graph: Graph, value: Value) -> Value:
    """Over the steps of (B, T, F)."""
    return graph.op("ReduceSum", value, graph.integers(1), keepdims=0)


@_writes(*LAYERS)
def _recurrent(
    context: Context,
    module: Any,
    name: str,
    value: Value | Packed,
    hx: Any = None,
    lengths: Value | None = None,
    resets: Any = None,
    elapsed: Value | None = None,
) -> Any:
    if resets is not None:
        raise ExportError(
            f"{name or 'the model'}: resets have no form in ONNX; start a sequence anew with a state of zeros"
        )
    if isinstance(value, Packed):
        output, state = add_recurrent(context, module, name, value.value, hx, value.lengths)
        return Packed(output, value.lengths), state
    return add_recurrent(context, module, name, value, hx, lengths, module.batch_first, elapsed)


@_writes(*CELLS)
def _cell(context: Context, module: Any, name: str, value: Value, hx: Any = None) -> Any:
    return add_cell(context, module, name, value, hx)
