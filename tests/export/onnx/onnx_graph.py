"""Run an exported file, and look into it."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor


def run_file(path: Path, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The outputs by name."""
    return Session(path)(inputs)


class Session:
    """A file in ONNX Runtime, to be run many times."""

    def __init__(self, path: Path) -> None:
        self._session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        self.inputs = [one.name for one in self._session.get_inputs()]
        self.outputs = [one.name for one in self._session.get_outputs()]

    def __call__(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        arrays = {name: tensor.detach().numpy() for name, tensor in inputs.items()}
        found = self._session.run(self.outputs, arrays)
        return {name: torch.from_numpy(np.asarray(array)) for name, array in zip(self.outputs, found, strict=True)}


def operators(path: Path) -> list[str]:
    """The operators of a file, which must be valid ONNX; those in bodies after those of the graph."""
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    return list(_operators(model.graph))


def _operators(graph: onnx.GraphProto) -> Iterator[str]:
    yield from (node.op_type for node in graph.node)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from _operators(attribute.g)


def properties(path: Path) -> dict[str, Any]:
    """The metadata by name, read as JSON except the name of the model."""
    props = {one.key: one.value for one in onnx.load(path).metadata_props}
    return {name: value if name == "recurra.model" else json.loads(value) for name, value in props.items()}
