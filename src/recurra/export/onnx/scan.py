"""One layer of any cell in one direction, as ONNX's Scan."""

from collections.abc import Sequence

from recurra.cells import Cell
from recurra.export.onnx.equations import Arrays, add_input_projection, add_step
from recurra.export.onnx.graph import BOOL, FLOAT, Graph, Value

__all__ = ["add_scan"]


def add_scan(
    graph: Graph,
    cell: Cell,
    w: Arrays,
    inputs: Value,
    state: Sequence[Value],
    valid: Value | None,
    reverse: bool,
    zoneout: Sequence[float],
) -> tuple[Value, list[Value]]:
    """Run a cell over sequences.

    Args:
        graph: to which the nodes are added.
        cell: the equations.
        w: the weights.
        inputs: (T, B, I).
        state: the initial state by part; the first (B, R), the others (B, H).
        valid: bool (T, B, 1), whether a step is within the lengths. None: all are.
        reverse: from each sequence's last step to its first. Padding comes first then, and leaves the state alone.
        zoneout: by part, see `add_step`.

    Returns:
        The outputs (T, B, R), zero at padding, and the final state by part.
    """
    projected = add_input_projection(graph, cell, w, inputs)
    body = Graph(graph)
    before = [body.input(body.name(part), FLOAT, value.shape) for part, value in zip(cell.state, state, strict=True)]
    x = body.input(body.name("x"), FLOAT, projected.shape[1:])
    after = add_step(body, cell, w, x, before, zoneout)
    output = after[0]
    scanned = [projected]
    if valid is not None:
        inside = body.input(body.name("valid"), BOOL, valid.shape[1:])
        after = [body.op("Where", inside, new, old) for new, old in zip(after, before, strict=True)]
        output = body.op("Where", inside, output, body.number(0.0))
        scanned.append(valid)
    for part, value, old in zip(cell.state, after, before, strict=True):
        body.output(body.name(f"{part}_after"), Value(value.name, FLOAT, old.shape))
    body.output(body.name("output"), Value(output.name, FLOAT, before[0].shape))
    results = [(FLOAT, value.shape) for value in state]
    *final, outputs = graph.typed(
        "Scan",
        [*results, (FLOAT, (inputs.shape[0], *state[0].shape))],
        *state,
        *scanned,
        body=body.proto(type(cell).__name__),
        num_scan_inputs=len(scanned),
        scan_input_directions=[int(reverse)] * len(scanned),
        scan_output_directions=[int(reverse)],
    )
    return outputs, final
