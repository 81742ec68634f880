"""Missing values that decay with their age, as ONNX's Scan."""

import numpy as np

from recurra.export.onnx.graph import FLOAT, Graph, Value
from recurra.layers import InputDecay
from recurra.program.builder import as_array

__all__ = ["add_input_decay"]


def add_input_decay(graph: Graph, decay: InputDecay, inputs: Value) -> tuple[Value, Value]:
    """What `InputDecay` makes of values, marks and a time (B, T, 2 C + 1).

    Returns:
        Values, marks and the time (B, T, 2 C + 1), and the age of each channel (B, T, C).
    """
    count, (batch, steps, size) = decay.channels, inputs.shape
    body = Graph(graph)
    names = ("last", "age", "absent_before")
    last, age, absent_before = (body.input(body.name(name), FLOAT, (batch, count)) for name in names)
    x = body.input(body.name("x"), FLOAT, (batch, size))
    values, missing, passed = body.ops("Split", 3, x, body.integers(count, count, 1), axis=1)
    absent = body.op("Greater", missing, body.number(0.5))
    mark = body.op("Cast", absent, to=FLOAT)
    own_age = body.op("Add", passed, body.op("Mul", absent_before, age))
    observed = body.op("Where", absent, last, values)
    weighted = body.op("Mul", own_age, body.constant(as_array(decay.weight)))
    rate = body.op("Relu", body.op("Add", weighted, body.constant(as_array(decay.bias))))
    decayed = body.op("Mul", observed, body.op("Exp", body.op("Neg", rate)))
    filled = body.op("Where", absent, decayed, values)
    read = body.op("Concat", filled, mark, passed, axis=1)
    for name, value, width in (
        ("last_after", observed, count),
        ("age_after", own_age, count),
        ("absent_after", mark, count),
        ("read", read, size),
        ("ages", own_age, count),
    ):
        body.output(body.name(name), Value(value.name, FLOAT, (batch, width)))
    rows = graph.op("Concat", graph.op("Shape", inputs, start=0, end=1), graph.integers(count), axis=0)
    zeros = graph.op("Expand", graph.constant(np.zeros((1, 1), np.float32)), rows)
    state = (FLOAT, (batch, count))
    *_, outputs, ages = graph.typed(
        "Scan",
        [state, state, state, (FLOAT, (steps, batch, size)), (FLOAT, (steps, batch, count))],
        *[zeros] * 3,
        graph.op("Transpose", inputs, perm=(1, 0, 2)),
        body=body.proto("InputDecay"),
        num_scan_inputs=1,
    )
    return graph.op("Transpose", outputs, perm=(1, 0, 2)), graph.op("Transpose", ages, perm=(1, 0, 2))
