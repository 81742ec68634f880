"""What a model reads and returns as a graph, and how the model itself is asked for the same."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from recurra.export.layer_states import Run
from recurra.export.onnx.graph import Value

__all__ = ["CASES", "Form"]

#: Sequences and steps of the comparisons.
CASES = ((1, 7), (5, 11), (2, 1))


@dataclass(frozen=True)
class Form:
    """A model as a graph.

    Attributes:
        outputs: by name, states excepted.
        reference: what the outputs are compared with.
        states: which inputs and outputs are a state that is passed on, if no layer says so.
        sample: random inputs for a number of sequences and of steps; None: normal values, and ids in their range.
        cases: sequences and steps of the comparisons.
    """

    outputs: Mapping[str, Value]
    reference: Run
    states: list[dict[str, str]] | None = None
    sample: Callable[[int, int], dict[str, NDArray[Any]]] | None = None
    cases: tuple[tuple[int, int], ...] = CASES
