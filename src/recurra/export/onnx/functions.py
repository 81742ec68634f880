"""The functions and methods of torch that a user's `forward` may call, as ONNX nodes."""

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from recurra.errors import ExportError
from recurra.export.onnx.graph import FLOAT, Graph, Value

__all__ = ["call_function"]

_UNARY: dict[Any, str] = {
    torch.tanh: "Tanh",
    torch.sigmoid: "Sigmoid",
    torch.relu: "Relu",
    functional.tanh: "Tanh",
    functional.sigmoid: "Sigmoid",
    functional.relu: "Relu",
    functional.softplus: "Softplus",
    torch.exp: "Exp",
    torch.log: "Log",
    torch.sqrt: "Sqrt",
    torch.abs: "Abs",
    operator.neg: "Neg",
    torch.neg: "Neg",
}
_BINARY: dict[Any, str] = {
    operator.add: "Add",
    operator.iadd: "Add",
    torch.add: "Add",
    operator.sub: "Sub",
    operator.isub: "Sub",
    torch.sub: "Sub",
    operator.mul: "Mul",
    operator.imul: "Mul",
    torch.mul: "Mul",
    operator.truediv: "Div",
    torch.div: "Div",
    operator.matmul: "MatMul",
    torch.matmul: "MatMul",
    torch.bmm: "MatMul",
}
_SOFTMAX = {torch.softmax: "Softmax", functional.softmax: "Softmax"}
_SOFTMAX |= {torch.log_softmax: "LogSoftmax", functional.log_softmax: "LogSoftmax"}
_REDUCE = {torch.mean: "ReduceMean", torch.sum: "ReduceSum", torch.amax: "ReduceMax", torch.amin: "ReduceMin"}
_SAME = {functional.dropout, torch.dropout, "contiguous", "float", "clone", "cpu"}
_METHODS = {
    **{name: getattr(torch, name) for name in ("tanh", "sigmoid", "relu", "exp", "log", "sqrt", "abs", "neg")},
    **{name: getattr(torch, name) for name in ("softmax", "log_softmax", "mean", "sum", "amax", "amin")},
    **{name: getattr(torch, name) for name in ("add", "sub", "mul", "div", "matmul", "bmm")},
    **{name: getattr(torch, name) for name in ("transpose", "permute", "squeeze", "unsqueeze", "flatten")},
}


def call_function(graph: Graph, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Add the nodes of a call.

    Args:
        graph: to which they are added.
        target: the function, or the name of a tensor's method.
        args: the arguments, a `Value` in the place of each tensor.
        kwargs: those by name.

    Returns:
        What the function returns, a `Value` in the place of each tensor.

    Raises:
        ExportError: if the function, or one of its arguments, has no form here.
    """
    kwargs = {name: value for name, value in kwargs.items() if name != "inplace"}
    target = _METHODS.get(target, target) if isinstance(target, str) else target
    if target is operator.getitem and not isinstance(args[0], Value):
        return args[0][args[1]]
    if target in _SAME:
        return args[0]
    if target in _UNARY and len(args) == 1 and not kwargs:
        return graph.op(_UNARY[target], args[0])
    if target is functional.silu:
        return graph.op("Mul", args[0], graph.op("Sigmoid", args[0]))
    if target in _BINARY and len(args) == 2 and not kwargs:
        return graph.op(_BINARY[target], *(_as_value(graph, one, target) for one in args))
    if target in _SOFTMAX:
        return graph.op(_SOFTMAX[target], args[0], axis=_dimension(args, kwargs, target))
    if target in _REDUCE:
        return _reduced(graph, target, args, kwargs)
    if target in _OTHERS:
        return _OTHERS[target](graph, *args, **kwargs)
    raise _unknown(target)


def _as_value(graph: Graph, one: Any, target: Any) -> Value:
    if isinstance(one, Value):
        return one
    if isinstance(one, int | float) and not isinstance(one, bool):
        return graph.number(float(one))
    raise _unknown(target, f" of a {type(one).__name__}")


def _dimension(args: Sequence[Any], kwargs: dict[str, Any], target: Any) -> int:
    dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
    if not isinstance(dim, int):
        raise _unknown(target, " without one dimension `dim`")
    return dim


def _reduced(graph: Graph, target: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Value:
    axis = _dimension(args, kwargs, target)
    keep = int(kwargs.get("keepdim", args[2] if len(args) > 2 else False))
    if target is torch.sum:
        return graph.op("ReduceSum", args[0], graph.integers(axis), keepdims=keep)
    return graph.op(_REDUCE[target], args[0], axes=[axis], keepdims=keep)


def _concatenated(graph: Graph, tensors: Any, dim: int = 0) -> Value:
    return graph.op("Concat", *tensors, axis=dim)


def _stacked(graph: Graph, tensors: Any, dim: int = 0) -> Value:
    axes = graph.integers(dim)
    return graph.op("Concat", *(graph.op("Unsqueeze", tensor, axes) for tensor in tensors), axis=dim)


def _transposed(graph: Graph, value: Value, first: int, second: int) -> Value:
    order = list(range(len(value.shape)))
    order[first], order[second] = order[second], order[first]
    return graph.op("Transpose", value, perm=order)


def _permuted(graph: Graph, value: Value, *dims: Any) -> Value:
    order = dims[0] if len(dims) == 1 and isinstance(dims[0], tuple | list) else dims
    return graph.op("Transpose", value, perm=[dim % len(value.shape) for dim in order])


def _squeezed(graph: Graph, value: Value, dim: int | None = None) -> Value:
    if dim is None:
        raise _unknown(torch.squeeze, " without `dim`")
    return graph.op("Squeeze", value, graph.integers(dim)) if value.shape[dim] == 1 else value


def _unsqueezed(graph: Graph, value: Value, dim: int) -> Value:
    return graph.op("Unsqueeze", value, graph.integers(dim))


def _flattened(graph: Graph, value: Value, start_dim: int = 0, end_dim: int = -1) -> Value:
    rank = len(value.shape)
    start, end = start_dim % rank, end_dim % rank
    sizes = [0] * start + [-1] + [int(size) if isinstance(size, int) else 0 for size in value.shape[end + 1 :]]
    if 0 in sizes[start:]:
        raise _unknown(torch.flatten, " before a dimension whose size is not known")
    return graph.op("Reshape", value, graph.integers(*sizes))


def _item(graph: Graph, value: Value, index: Any) -> Value:
    """An index of integers, slices, ... and None."""
    items = list(index) if isinstance(index, tuple) else [index]
    if Ellipsis in items:
        position = items.index(Ellipsis)
        missing = len(value.shape) - sum(item is not None for item in items) + 1
        items[position : position + 1] = [slice(None)] * missing
    axis, removed, added, position = 0, [], [], 0
    for item in items:
        if item is None:
            added.append(position)
            position += 1
            continue
        if isinstance(item, slice):
            value = _sliced(graph, value, axis, item)
            position += 1
        elif isinstance(item, int) and not isinstance(item, bool):
            value = _sliced(graph, value, axis, slice(item, item + 1 or None))
            removed.append(axis)
        else:
            raise ExportError(f"the index {item!r} has no form in ONNX here; integers, slices, ... and None have")
        axis += 1
    if removed:
        shape = tuple(1 if axis in removed else size for axis, size in enumerate(value.shape))
        value = graph.op("Squeeze", Value(value.name, value.type, shape), graph.integers(*removed))
    return graph.op("Unsqueeze", value, graph.integers(*added)) if added else value


def _sliced(graph: Graph, value: Value, axis: int, item: slice) -> Value:
    if item == slice(None):
        return value
    bounds = (item.start, item.stop, item.step)
    if not all(bound is None or isinstance(bound, int) for bound in bounds):
        raise ExportError(f"the slice {item} has no form in ONNX here; its bounds must be numbers")
    last = np.iinfo(np.int64).max
    start, stop, step = item.start or 0, last if item.stop is None else item.stop, item.step or 1
    return graph.op("Slice", value, *(graph.integers(bound) for bound in (start, stop, axis, step)))


def _linear(graph: Graph, value: Value, weight: Value, bias: Value | None = None) -> Value:
    product = graph.op("MatMul", value, graph.op("Transpose", weight, perm=(1, 0)))
    return product if bias is None else graph.op("Add", product, bias)


def _embedding(graph: Graph, ids: Value, weight: Value) -> Value:
    return graph.op("Gather", weight, ids, axis=0)


def _zeros_like(graph: Graph, value: Value) -> Value:
    if value.type != FLOAT:
        raise _unknown(torch.zeros_like, " of integers")
    zeros = graph.op("Expand", graph.number(0.0), graph.op("Shape", value))
    return Value(zeros.name, FLOAT, value.shape)


_OTHERS: dict[Any, Callable[..., Value]] = {
    operator.getitem: _item,
    torch.cat: _concatenated,
    torch.concat: _concatenated,
    torch.stack: _stacked,
    torch.transpose: _transposed,
    torch.permute: _permuted,
    torch.squeeze: _squeezed,
    torch.unsqueeze: _unsqueezed,
    torch.flatten: _flattened,
    torch.zeros_like: _zeros_like,
    functional.linear: _linear,
    functional.embedding: _embedding,
}


def _unknown(target: Any, what: str = "") -> ExportError:
    name = target if isinstance(target, str) else getattr(target, "__name__", str(target))
    return ExportError(
        f"{name}{what} has no form in ONNX here. Known are recurrent layers, nn.Linear, Embedding, LayerNorm, Conv1d, "
        "BatchNorm1d, dropout, tanh, sigmoid, relu, silu, softmax, arithmetic, mean, sum and largest value over a "
        "dimension, torch.cat and stack, transpose, permute, squeeze, unsqueeze, flatten and indices"
    )
