"""One step of a model as an ONNX graph, with its state in the caller's hands."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from torch import nn

from recurra.codegen.expression import Expression
from recurra.export.onnx.check import open_session, running
from recurra.export.onnx.equations import add_equations
from recurra.export.onnx.graph import FLOAT, INT64, Graph, Value
from recurra.export.onnx.prepared import PREFIX, OnnxExport, Prepared, as_json, content_of
from recurra.export.recurrent_modules import evaluated
from recurra.export.step import check_step, walk
from recurra.program import Program, compile_program
from recurra.program.operations import Array

__all__ = ["export_onnx_step"]

_UNARY = {
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "relu": "Relu",
    "exp": "Exp",
    "log": "Log",
    "sqrt": "Sqrt",
    "erf": "Erf",
    "absolute": "Abs",
    "negative": "Neg",
}
_BINARY = {
    "add": "Add",
    "subtract": "Sub",
    "multiply": "Mul",
    "divide": "Div",
    "maximum": "Max",
    "less_or_equal": "LessOrEqual",
    "equal": "Equal",
}


def export_onnx_step(
    model: nn.Module,
    path: str | Path,
    *,
    input_size: int | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> OnnxExport:
    """Write one step of a model that streams as an ONNX graph, in float32: also of a stack of blocks.

    Its inputs are "input", features (B, I) or ids (B,) of int64, and "state_0" (B, S); its outputs are "output" (B, O)
    and "state_n", the state after the step. B is dynamic. The state is that of a `recurra.Stepper`, whose `new_state`
    is the first; the metadata "recurra.first_state" has its values, and "recurra.parts" the name, the place and the
    size of each part. The file is written only if ONNX Runtime computes what the engine does, step by step, at two
    batch sizes.

    Args:
        model: as `recurra.Stepper` takes it. It is not changed.
        path: of the file.
        input_size: I, if the first module of the model does not say it.
        metadata: of the file: anything that JSON holds by name, such as labels or a vocabulary.

    Raises:
        ParameterError: an argument is out of its range.
        StreamError: the model cannot run one step at a time.
        ExportError: the graph does not agree with the model. Nothing is written.
        BackendError: the C++ extension, which it is compared with, is missing.
        RunError: the file cannot be written.
    """
    program = compile_program(evaluated(model) if isinstance(model, nn.Module) else model, input_size)
    properties = as_json(metadata or {})
    graph = Graph()
    x, state = _inputs(graph, program)
    output, after = walk(program, _OnnxArithmetic(graph), x, state)
    graph.output("output", Value(output.name, FLOAT, ("batch", program.output_size)))
    if after is not None:
        graph.output("state_n", Value(after.name, FLOAT, ("batch", program.state_size)))
    parts = [{"name": part.name, "offset": part.offset, "size": part.size} for part in program.parts]
    states = [{"layer": "", "input": "state_0", "output": "state_n"}] if program.parts else []
    for name, value in (("parts", parts), ("first_state", program.initial.tolist()), ("states", states)):
        properties[f"{PREFIX}{name}"] = json.dumps(value)
    content = content_of(graph.model(properties | {f"{PREFIX}model": type(model).__name__}))
    names = [value.name for value in graph.outputs]

    def run(inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        return dict(zip(names, session.run(names, inputs), strict=True))

    with running():
        session = open_session(content)
        checks = check_step(program, run, "ONNX Runtime")
    shapes = ({one.value.name: one.value.shape for one in graph.inputs}, {one.name: one.shape for one in graph.outputs})
    return Prepared(content, *shapes, checks).write(path)


def _inputs(graph: Graph, program: Program) -> tuple[Value, Value | None]:
    if program.vocabulary_size:
        x = graph.input("input", INT64, ("batch",), limit=program.vocabulary_size)
    else:
        x = graph.input("input", FLOAT, ("batch", program.input_size))
    return x, graph.input("state_0", FLOAT, ("batch", program.state_size)) if program.parts else None


class _OnnxArithmetic:
    """See `Arithmetic`.

    Args:
        graph: to which the nodes are added.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def constant(self, array: Array) -> Value:
        return self._graph.constant(array)

    def unary(self, kind: str, a: Value) -> Value:
        return self._graph.op(_UNARY[kind], a)

    def binary(self, kind: str, a: Value, b: Value) -> Value:
        return self._graph.op(_BINARY[kind], a, b)

    def where(self, condition: Value, a: Value, b: Value) -> Value:
        return self._graph.op("Where", condition, a, b)

    def matmul(self, a: Value, b: Value) -> Value:
        return self._graph.op("MatMul", a, b)

    def reduce(self, kind: str, a: Value) -> Value:
        if kind == "sum":
            return self._graph.op("ReduceSum", a, self._graph.integers(-1), keepdims=1)
        return self._graph.op({"mean": "ReduceMean", "max": "ReduceMax"}[kind], a, axes=[-1], keepdims=1)

    def softmax(self, a: Value, logarithm: bool = False) -> Value:
        return self._graph.op("LogSoftmax" if logarithm else "Softmax", a, axis=-1)

    def concat(self, parts: Sequence[Value]) -> Value:
        return self._graph.op("Concat", *parts, axis=-1)

    def part(self, a: Value, first: int, size: int) -> Value:
        bounds = (self._graph.integers(number) for number in (first, first + size, -1))
        return self._graph.op("Slice", a, *bounds)

    def reshape(self, a: Value, *sizes: int) -> Value:
        return self._graph.op("Reshape", a, self._graph.integers(-1, *sizes))

    def transpose(self, a: Value) -> Value:
        last = len(a.shape) - 1
        return self._graph.op("Transpose", a, perm=[*range(last - 1), last, last - 1])

    def rows(self, table: Array, ids: Value) -> Value:
        return self._graph.op("Gather", self._graph.constant(table), ids, axis=0)

    def gather(self, a: Value, index: Value) -> Value:
        index = self._graph.op("Unsqueeze", self._graph.op("Cast", index, to=INT64), self._graph.integers(2))
        return self._graph.op("GatherND", a, index, batch_dims=1)

    def equations(
        self, results: Sequence[Expression], values: Mapping[tuple[str, str], Value], like: Sequence[Value]
    ) -> list[Value]:
        def filled(value: Value, one: Value) -> Value:
            same = len(value.shape) == len(one.shape)
            return value if same else self._graph.op("Expand", value, self._graph.op("Shape", one))

        return list(map(filled, add_equations(self._graph, results, values), like))
