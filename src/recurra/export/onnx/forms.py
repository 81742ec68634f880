"""What a model reads and returns as a graph, and how the model itself is asked for the same."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from recurra.export.onnx.context import Context
from recurra.export.onnx.graph import Value

__all__ = ["Form", "Reference"]

#: From the model and the tensors by name of the graph's inputs to the tensors by name of its outputs, states excepted.
Reference = Callable[[Any, Mapping[str, Tensor]], dict[str, Tensor]]


@dataclass(frozen=True)
class Form:
    """A model as a graph.

    Attributes:
        outputs: by name, states excepted.
        reference: what the outputs are compared with.
    """

    outputs: Mapping[str, Value]
    reference: Reference


#: Adds a model to the graph.
Writer = Callable[[Context, nn.Module], Form]
