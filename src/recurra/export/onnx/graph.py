"""An ONNX graph, put together node by node; types and shapes follow from ONNX's own inference."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.shape_inference import infer_node_outputs

from recurra.errors import ExportError

__all__ = ["BOOL", "DOUBLE", "FLOAT", "INT32", "INT64", "OPSET", "Graph", "Input", "Shape", "Value"]

#: The version of the operators. 17 is the lowest that has LayerNormalization; ONNX Runtime runs it since 1.12 (2022).
OPSET = 17
_IR_VERSION = 8  # of the file format, the one that came with opset 17
_LARGEST = 2**31 - 1  # bytes in one file of protocol buffers

BOOL, DOUBLE, FLOAT = TensorProto.BOOL, TensorProto.DOUBLE, TensorProto.FLOAT
INT32, INT64 = TensorProto.INT32, TensorProto.INT64

#: A dimension is a size, or the name of one that is known when the graph runs.
Shape: TypeAlias = tuple[int | str, ...]


@dataclass(frozen=True)
class Value:
    """A tensor of the graph.

    Attributes:
        name: unique in the graph and the graphs within it.
        type: of its elements, such as `FLOAT`.
        shape: by dimension.
    """

    name: str
    type: int
    shape: Shape

    @property
    def size(self) -> int:
        """The features of a step: the last dimension.

        Raises:
            ExportError: if it is not known.
        """
        if not self.shape or not isinstance(self.shape[-1], int):
            raise ExportError(
                f"{self.name}: its features, the last dimension, must be known; its shape is {self.shape}"
            )
        return self.shape[-1]


@dataclass(frozen=True)
class Input:
    """An input of the graph, and what values it takes.

    Attributes:
        value: the tensor.
        limit: of integers, how many ids there are, or the name of the dimension that says so; 0: it has no ids.
        is_length: whether it holds lengths, 0 to `limit`.
    """

    value: Value
    limit: int | str = 0
    is_length: bool = False


class Graph:
    """The nodes, inputs and outputs of a graph.

    Args:
        outer: the graph of whose node this is the body; None for the graph of the file. Constants and names are of the
            outermost graph.
    """

    def __init__(self, outer: "Graph | None" = None) -> None:
        self.inputs: list[Input] = []
        self.outputs: list[Value] = []
        self._nodes: list[onnx.NodeProto] = []
        self._outermost: Graph = self if outer is None else outer._outermost
        self._names: Iterator[int] = count()
        self._constants: dict[tuple[Any, ...], tuple[Value, onnx.TensorProto]] = {}

    def name(self, prefix: str) -> str:
        """A name that no other value has."""
        return f"{prefix}_{next(self._outermost._names)}"

    def input(self, name: str, type: int, shape: Shape, limit: int | str = 0, is_length: bool = False) -> Value:  # noqa: A002
        """Add an input."""
        value = Value(name, type, shape)
        self.inputs.append(Input(value, limit, is_length))
        return value

    def output(self, name: str, value: Value) -> None:
        """Add an output of this name."""
        self._nodes.append(helper.make_node("Identity", [value.name], [name]))
        self.outputs.append(Value(name, value.type, value.shape))

    def constant(self, array: NDArray[Any]) -> Value:
        """A constant; equal ones are stored once."""
        outermost = self._outermost
        key = array.dtype.str, array.shape, sha256(array.tobytes()).digest()
        if key not in outermost._constants:
            name = self.name("constant")
            tensor = numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)
            outermost._constants[key] = Value(name, tensor.data_type, array.shape), tensor
        return outermost._constants[key][0]

    def number(self, number: float) -> Value:
        """A float32 constant without dimensions."""
        return self.constant(np.array(number, np.float32))

    def integers(self, *numbers: int) -> Value:
        """A one-dimensional int64 constant, such as axes or a shape."""
        return self.constant(np.array(numbers, np.int64))

    def op(self, kind: str, *inputs: Value | None, **attributes: Any) -> Value:
        """Add a node of one output."""
        return self.ops(kind, 1, *inputs, **attributes)[0]

    def ops(self, kind: str, outputs: int, *inputs: Value | None, **attributes: Any) -> list[Value]:
        """Add a node of several outputs; None among the inputs leaves an optional one out."""
        names = [self.name(kind.lower()) for _ in range(outputs)]
        written = ["" if value is None else value.name for value in inputs]
        while not written[-1]:
            written.pop()  # ONNX Runtime's optimizer does not survive an empty name at the end
        node = helper.make_node(kind, written, names, **attributes)
        self._nodes.append(node)
        types = self._inferred(node, [value for value in inputs if value is not None])
        return [Value(name, *types[name]) for name in names]

    def typed(self, kind: str, results: list[tuple[int, Shape]], *inputs: Value, **attributes: Any) -> list[Value]:
        """Add a node whose outputs have these types and shapes, which inference does not find out."""
        values = [Value(self.name(kind.lower()), *result) for result in results]
        self._nodes.append(
            helper.make_node(kind, [value.name for value in inputs], [value.name for value in values], **attributes)
        )
        return values

    def proto(self, name: str) -> onnx.GraphProto:
        """The graph as ONNX has it."""
        inputs = [_value_info(one.value) for one in self.inputs]
        constants = [tensor for _, tensor in self._constants.values()]
        return helper.make_graph(self._nodes, name, inputs, list(map(_value_info, self.outputs)), constants)

    def model(self, metadata: dict[str, str]) -> onnx.ModelProto:
        """The graph as a model.

        Raises:
            ExportError: if it is too large for a file.
        """
        if sum(len(tensor.raw_data) for _, tensor in self._constants.values()) > _LARGEST:
            raise ExportError("the model: its weights are larger than 2 GiB, which one ONNX file cannot hold")
        model = helper.make_model(
            self.proto("recurra"),
            producer_name="recurra",
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=_IR_VERSION,
        )
        helper.set_model_props(model, metadata)
        return model

    def _inferred(self, node: onnx.NodeProto, inputs: list[Value]) -> dict[str, tuple[int, Shape]]:
        known = {value.name: tensor for value, tensor in self._outermost._constants.values()}
        types = {value.name: helper.make_tensor_type_proto(value.type, value.shape) for value in inputs}
        data = {value.name: known[value.name] for value in inputs if value.name in known and value.type == INT64}
        try:
            result = infer_node_outputs(
                onnx.defs.get_schema(node.op_type, OPSET, ""),
                node,
                types,
                data,
                opset_imports=[helper.make_opsetid("", OPSET)],
                ir_version=_IR_VERSION,
            )
        except onnx.shape_inference.InferenceError as error:
            shapes = ", ".join(str(value.shape) for value in inputs)
            raise ExportError(f"{node.op_type}: shapes that do not fit: {shapes} ({error})") from error
        return {name: (one.tensor_type.elem_type, _shape(one)) for name, one in result.items()}


def _shape(type: onnx.TypeProto) -> Shape:  # noqa: A002
    dims = type.tensor_type.shape.dim
    return tuple(dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "unknown" for dim in dims)


def _value_info(value: Value) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(value.name, value.type, value.shape)
