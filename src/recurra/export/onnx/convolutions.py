"""`SequenceConvolutions` as ONNX."""

from collections.abc import Iterable

from torch import nn

from recurra.export.onnx.context import Context, ends_of, mask_of
from recurra.export.onnx.graph import FLOAT, Graph, Value
from recurra.export.onnx.modules import add_module
from recurra.models.convolution import SequenceConvolutions

__all__ = ["add_convolutions"]


def add_convolutions(
    context: Context, module: SequenceConvolutions, inputs: Value, lengths: Value | None
) -> tuple[Value, Value]:
    """Filter inputs (B, T, I), zero beyond the lengths int64 (B,).

    Returns:
        (B, ceil(T / stride), F), and its lengths int64 (B,).
    """
    graph = context.graph
    ends = ends_of(graph, inputs, lengths)
    valid = graph.op("Unsqueeze", mask_of(graph, inputs, ends), graph.integers(2))
    features = graph.op("Where", valid, inputs, graph.number(0.0))
    pairs: Iterable[tuple[nn.Module, nn.Module]] = zip(module.convolutions, module.normalizations, strict=True)
    for convolution, normalization in pairs:
        features = add_module(context, convolution, "convolution", graph.op("Transpose", features, perm=(0, 2, 1)))
        features = graph.op("Relu", add_module(context, normalization, "convolution", features))
        features = graph.op("Transpose", features, perm=(0, 2, 1))
        features = graph.op("Where", valid, features, graph.number(0.0))
    if module.stride == 1:
        return features, ends
    stride = graph.integers(module.stride)
    after = graph.op("Div", graph.op("Add", ends, graph.integers(module.stride - 1)), stride)
    return _shortened(graph, module, features, valid, stride), after


def _shortened(graph: Graph, module: SequenceConvolutions, features: Value, valid: Value, stride: Value) -> Value:
    """Means over `stride` steps, of the valid ones among them."""
    steps = graph.op("Shape", features, start=1, end=2)
    missing = graph.op("Mod", graph.op("Neg", steps), stride)
    pads = graph.op("Concat", graph.integers(0, 0, 0, 0), missing, graph.integers(0), axis=0)

    def summed(value: Value) -> Value:
        padded = graph.op("Pad", value, pads)
        grouped = graph.op("Reshape", padded, graph.integers(0, -1, module.stride, value.size))
        return graph.op("ReduceSum", grouped, graph.integers(2), keepdims=0)

    counts = graph.op("Max", summed(graph.op("Cast", valid, to=FLOAT)), graph.number(1.0))
    mean = graph.op("Div", summed(features), counts)
    return Value(mean.name, FLOAT, (features.shape[0], "time_after", features.size))
