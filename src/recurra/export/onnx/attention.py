"""Attention as ONNX: one query for each sequence."""

import numpy as np

from recurra.errors import ExportError
from recurra.export.onnx.context import Context, mask_of
from recurra.export.onnx.graph import Value
from recurra.export.onnx.modules import add_module
from recurra.models.attention import AdditiveAttention, Attention, DotAttention, GeneralAttention
from recurra.program.builder import as_array

__all__ = ["add_attended", "add_keys"]

_LOWEST = float(np.finfo(np.float32).min)


def add_keys(context: Context, attention: Attention, memory: Value) -> Value:
    """What queries are compared with (B, S, K), from the memory (B, S, M).

    Raises:
        ExportError: for an attention of another class than the package's.
    """
    if isinstance(attention, AdditiveAttention | GeneralAttention):
        return add_module(context, attention.key, "decoder.attention.key", memory)
    if isinstance(attention, DotAttention):
        return memory
    raise ExportError(f"decoder.attention: a {type(attention).__name__} has no form in ONNX here")


def add_attended(
    context: Context,
    attention: Attention,
    query: Value,
    memory: Value,
    keys: Value,
    lengths: Value,
    coverage: Value | None,
) -> tuple[Value, Value, Value | None]:
    """Attend, as `Attention` does.

    Args:
        context: to whose graph the nodes are added.
        attention: of a class of the package.
        query: (B, 1, Q).
        memory: (B, S, M), zero in padding.
        keys: (B, S, K), of `add_keys`.
        lengths: int64 (B,), of the memory.
        coverage: (B, S), with `attention.coverage`.

    Returns:
        The context (B, 1, M), the weights (B, 1, S) and the coverage after them.
    """
    graph = context.graph
    valid = graph.op("Unsqueeze", mask_of(graph, memory, lengths), graph.integers(1))
    scores = graph.op("Where", valid, _scores(context, attention, query, keys, coverage), graph.number(_LOWEST))
    weights = graph.op("Where", valid, graph.op("Softmax", scores, axis=2), graph.number(0.0))
    if coverage is not None:
        coverage = graph.op("Add", coverage, graph.op("Squeeze", weights, graph.integers(1)))
    return graph.op("MatMul", weights, memory), weights, coverage


def _scores(context: Context, attention: Attention, query: Value, keys: Value, coverage: Value | None) -> Value:
    """How well the query and the keys match, (B, 1, S)."""
    graph, name = context.graph, "decoder.attention"
    if isinstance(attention, AdditiveAttention):
        if attention.covered is not None and coverage is not None:
            covered = graph.op("Unsqueeze", coverage, graph.integers(2))
            keys = graph.op("Add", keys, add_module(context, attention.covered, f"{name}.covered", covered))
        both = graph.op("Tanh", graph.op("Add", add_module(context, attention.query, f"{name}.query", query), keys))
        return graph.op("Transpose", add_module(context, attention.score, f"{name}.score", both), perm=(0, 2, 1))
    if isinstance(attention, DotAttention):
        query = graph.op("Mul", query, graph.number(attention.scale))
    assert isinstance(attention, DotAttention | GeneralAttention)
    scores = graph.op("MatMul", query, graph.op("Transpose", keys, perm=(0, 2, 1)))
    if attention.covered is not None and coverage is not None:
        weighted = graph.op("Mul", coverage, graph.constant(as_array(attention.covered)))
        scores = graph.op("Add", scores, graph.op("Unsqueeze", weighted, graph.integers(1)))
    return scores
