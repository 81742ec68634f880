"""From a model to an ONNX file."""

import json
from collections.abc import Mapping
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
from recurra.export.onnx.graph import OPSET
from recurra.export.onnx.models import writer_of
from recurra.export.onnx.traced import add_layer, add_traced
from recurra.export.recurrent_modules import CELLS, LAYERS, evaluated
from recurra.files import write_atomically

__all__ = ["OnnxExport", "export_onnx"]

_PREFIX = "recurra."


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


def export_onnx(
    model: nn.Module,
    path: str | Path,
    *,
    input_size: int | None = None,
    lengths: bool = True,
    states: bool = True,
    metadata: Mapping[str, Any] | None = None,
) -> OnnxExport:
    """Write a model as an ONNX graph, as it computes in evaluation, in float32.

    Batch and time are dynamic, from one step on. Initial states are inputs and final states outputs, in the shapes of
    the layers'; the metadata "recurra.states" says which belong together. The file is written only if ONNX Runtime
    computes from it what the model does, at three batch sizes and lengths.

    Args:
        model: a recurrent layer or cell of this package or of torch.nn; a `RecurrentLanguageModel`,
            `SequenceClassifier`, `EvidenceClassifier`, `ClassifierEnsemble` or `SequenceTagger`; the network of a
            trained classifier; or any module whose `forward` combines recurrent layers with torch's other modules and
            functions: torch.fx traces it. It is not changed.
        path: of the file.
        input_size: I, if the first module of the model does not say it.
        lengths: whether true lengths (B,) are an input, int64, from 0 to T. A module that is traced has this input only
            if its `forward` has an argument of this name.
        states: whether the states of recurrent layers are inputs and outputs. If not, sequences begin at zeros.
        metadata: of the file: anything that JSON holds by name, such as labels or a vocabulary.

    Returns:
        What was written and how far it differs from the model.

    Raises:
        ParameterError: if an argument is out of its range.
        ExportError: if something in the model has no form in ONNX, or if the file does not agree with the model.
            Nothing is written.
        RunError: if the file cannot be written.
    """
    if not isinstance(model, nn.Module):
        raise ParameterError("model", "a torch.nn.Module", type(model).__name__)
    own = evaluated(model)
    properties = _as_json(metadata or {})
    context = Context(with_lengths=lengths, with_states=states)
    with torch.no_grad():
        if write := writer_of(own):
            form = write(context, own)
        elif type(own) in LAYERS + CELLS:
            form = add_layer(context, own, input_size)
        else:
            form = add_traced(context, own, input_size)
    for name, value in form.outputs.items():
        context.graph.output(name, value)
    context.finish()
    properties |= {f"{_PREFIX}states": json.dumps(_states(context)), f"{_PREFIX}model": type(model).__name__}
    content = _content(context.graph.model(properties))
    checks = run_checks(own, context, form, content)
    target = Path(path)
    write_atomically(target, lambda aside: aside.write_bytes(content))
    inputs = {one.value.name: one.value.shape for one in context.graph.inputs}
    outputs = {value.name: value.shape for value in context.graph.outputs}
    return OnnxExport(target, len(content), inputs, outputs, checks)


def _states(context: Context) -> list[dict[str, Any]]:
    return [
        {"layer": state.layer, "input": first, "output": last}
        for state in context.states
        for first, last in zip(state.inputs, state.outputs, strict=True)
    ]


def _as_json(metadata: Mapping[str, Any]) -> dict[str, str]:
    properties = {}
    for name, value in metadata.items():
        if not isinstance(name, str) or name.startswith(_PREFIX):
            raise ParameterError("metadata", f"names that do not begin with {_PREFIX!r}", name)
        try:
            properties[name] = json.dumps(value, ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ParameterError(
                "metadata", f"what JSON holds for {name!r}", type(value).__name__, f"{error}."
            ) from error
    return properties


def _content(model: onnx.ModelProto) -> bytes:
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"the graph is not valid ONNX: {error}; nothing is written") from error
    return model.SerializeToString()
