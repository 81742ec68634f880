"""What a model reads and returns as a graph, and how the model itself is asked for the same."""

from collections.abc import Mapping
from dataclasses import dataclass

from recurra.export.layer_states import Run
from recurra.export.onnx.graph import Value

__all__ = ["Form"]


@dataclass(frozen=True)
class Form:
    """A model as a graph.

    Attributes:
        outputs: by name, states excepted.
        reference: what the outputs are compared with.
    """

    outputs: Mapping[str, Value]
    reference: Run
