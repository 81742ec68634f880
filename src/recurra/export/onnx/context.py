"""What an export has collected so far: the graph, the lengths and the states of its recurrent layers."""

from dataclasses import dataclass, field

import numpy as np

from recurra.errors import ExportError
from recurra.export.layer_states import LayerState
from recurra.export.onnx.graph import BOOL, FLOAT, INT64, Graph, Value

__all__ = ["Context", "ends_of", "mask_of"]


@dataclass
class Context:
    """An export under way.

    Attributes:
        graph: of the file.
        with_lengths: whether true lengths are an input, of a model that reads them.
        lengths: int64 (B,), that input. None: all sequences have all steps.
        with_states: whether states are inputs and outputs. Otherwise all layers begin at zeros.
        states: of the layers so far.
        runs_with_lengths: the names of the layers that run within `lengths`, though `forward` gives them none.
        packs: whether the model packs sequences, which torch does only with lengths of at least 1.
    """

    graph: Graph = field(default_factory=Graph)
    with_lengths: bool = True
    lengths: Value | None = None
    with_states: bool = True
    states: list[LayerState] = field(default_factory=list)
    runs_with_lengths: list[str] = field(default_factory=list)
    packs: bool = False
    _called: set[str] = field(default_factory=set)
    _final: list[tuple[str, Value]] = field(default_factory=list)

    def add_lengths(self) -> None:
        """Add the input of true lengths, unless the export is to have none."""
        if self.with_lengths:
            self.lengths = self.graph.input("lengths", INT64, ("batch",), limit="time", is_length=True)

    def initial(self, layer: str, parts: tuple[str, ...], shapes: list[tuple[int | str, ...]]) -> list[Value]:
        """The initial state of a layer to which the model gives none: inputs of the graph; none without states.

        Raises:
            ExportError: if the model calls the layer twice.
        """
        if not self.with_states:
            return []
        if layer in self._called:
            raise ExportError(
                f"{layer}: it runs twice from an initial state of its own, and there is one input for that. Give its "
                "second call the final state of the first, or use two layers"
            )
        self._called.add(layer)
        prefix = f"{layer}." if layer else ""
        inputs, outputs = (tuple(f"{prefix}{part}_{end}" for part in parts) for end in ("0", "n"))
        self.states.append(LayerState(layer, inputs, outputs))
        return [self.graph.input(name, FLOAT, shape) for name, shape in zip(inputs, shapes, strict=True)]

    def final(self, layer: str, values: list[Value]) -> None:
        """The final state of a layer that began at `initial`."""
        for state in self.states:
            if state.layer == layer:
                self._final += zip(state.outputs, values, strict=True)

    def is_final(self, value: Value) -> bool:
        """Whether it is the final state of a layer, which is an output already."""
        return any(value == final for _, final in self._final)

    def finish(self) -> None:
        """Add the final states to the outputs, and put the inputs in order: data, lengths, states."""
        for name, value in self._final:
            self.graph.output(name, value)
        states = {name for state in self.states for name in state.inputs}
        self.graph.inputs.sort(key=lambda one: (one.value.name in states, one.value == self.lengths))


def ends_of(graph: Graph, inputs: Value, lengths: Value | None) -> Value:
    """The lengths int64 (B,) of inputs (B, T, ...): T for all if `lengths` is None."""
    if lengths is not None:
        return lengths
    batch = graph.op("Shape", inputs, start=0, end=1)
    return graph.op("Expand", graph.op("Shape", inputs, start=1, end=2), batch)


def mask_of(graph: Graph, inputs: Value, lengths: Value, time: int = 1) -> Value:
    """Which steps of inputs, whose dimension `time` is T, are within the lengths: bool (B, T), or (T, B) for time 0."""
    zero, one = (graph.constant(np.array(number, np.int64)) for number in (0, 1))
    count = graph.op("Squeeze", graph.op("Shape", inputs, start=time, end=time + 1), graph.integers(0))
    steps = graph.op("Range", zero, count, one)
    if time == 0:
        steps = graph.op("Unsqueeze", steps, graph.integers(1))
        return Value(graph.op("Less", steps, lengths).name, BOOL, inputs.shape[:2])
    ends = graph.op("Unsqueeze", lengths, graph.integers(1))
    return Value(graph.op("Less", steps, ends).name, BOOL, inputs.shape[:2])
