"""A graph that was checked, before it is written."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn

from recurra.errors import ExportError, ParameterError
from recurra.export.check import Check
from recurra.export.onnx.check import run_checks
from recurra.export.onnx.context import Context
from recurra.export.onnx.forms import Form
from recurra.export.onnx.graph import OPSET
from recurra.files import write_atomically

__all__ = ["PREFIX", "OnnxExport", "Prepared", "as_json", "content_of", "prepare"]

PREFIX = "recurra."  # of what the package itself writes into the metadata


@dataclass(frozen=True)
class OnnxExport:
    """What was written. Print it.

    Attributes:
        path: the file.
        size: of the file, in bytes.
        inputs: the shape of each input by name; a dimension is a size or a name such as "batch".
        outputs: likewise.
        checks: the comparisons with the model.
    """

    path: Path
    size: int
    inputs: dict[str, tuple[int | str, ...]]
    outputs: dict[str, tuple[int | str, ...]]
    checks: tuple[Check, ...]

    def __str__(self) -> str:
        lines = [f"{self.path}: ONNX opset {OPSET}, {self.size:,} bytes"]
        for words, shapes in (("input", self.inputs), ("output", self.outputs)):
            lines += [f"  {words} {name} ({', '.join(map(str, shape))})" for name, shape in shapes.items()]
        return "\n".join([*lines, *(f"  checked: {check}" for check in self.checks)])


@dataclass(frozen=True)
class Prepared:
    """The content of a file, which computes what the model does.

    Attributes:
        content: of the file.
        inputs: as in `OnnxExport`.
        outputs: as in `OnnxExport`.
        checks: as in `OnnxExport`.
    """

    content: bytes
    inputs: dict[str, tuple[int | str, ...]]
    outputs: dict[str, tuple[int | str, ...]]
    checks: tuple[Check, ...]

    def write(self, path: str | Path) -> OnnxExport:
        """Write the file. Raises RunError if that is not possible."""
        target = Path(path)
        write_atomically(target, lambda aside: aside.write_bytes(self.content))
        return OnnxExport(target, len(self.content), self.inputs, self.outputs, self.checks)


def prepare(
    model: nn.Module, context: Context, add: Callable[[Context, Any], Form], metadata: Mapping[str, Any]
) -> Prepared:
    """Make the graph of a model, and compare them.

    Args:
        model: in evaluation, float32 on the CPU.
        context: of the export.
        add: adds the nodes of the model.
        metadata: of the file.

    Raises:
        ParameterError: if the metadata is not what JSON holds.
        ExportError: if the graph is not valid, or does not agree with the model.
    """
    properties = as_json(metadata)
    with torch.no_grad():
        form = add(context, model)
    for name, value in form.outputs.items():
        context.graph.output(name, value)
    context.finish()
    states = form.states if form.states is not None else _states(context)
    properties |= {f"{PREFIX}states": json.dumps(states), f"{PREFIX}model": type(model).__name__}
    content = content_of(context.graph.model(properties))
    checks = run_checks(model, context, form, content)
    inputs = {one.value.name: one.value.shape for one in context.graph.inputs}
    outputs = {value.name: value.shape for value in context.graph.outputs}
    return Prepared(content, inputs, outputs, checks)


def _states(context: Context) -> list[dict[str, Any]]:
    return [
        {"layer": state.layer, "input": first, "output": last}
        for state in context.states
        for first, last in zip(state.inputs, state.outputs, strict=True)
    ]


def as_json(metadata: Mapping[str, Any]) -> dict[str, str]:
    """The metadata of a file as text. Raises ParameterError for what JSON does not hold, or a name of our own."""
    properties = {}
    for name, value in metadata.items():
        if not isinstance(name, str) or name.startswith(PREFIX):
            raise ParameterError("metadata", f"names that do not begin with {PREFIX!r}", name)
        try:
            properties[name] = json.dumps(value, ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ParameterError(
                "metadata", f"what JSON holds for {name!r}", type(value).__name__, f"{error}."
            ) from error
    return properties


def content_of(model: onnx.ModelProto) -> bytes:
    """The content of a file. Raises ExportError for a graph that is not valid."""
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"the graph is not valid ONNX: {error}; nothing is written") from error
    return model.SerializeToString()
