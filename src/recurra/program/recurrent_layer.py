"""The operations of one recurrent layer, forward in time, for any cell."""

from typing import Literal

import numpy as np

from recurra.cells import Cell
from recurra.codegen import check_by_unit, sum_only_gates, trace
from recurra.kernels import NORM_EPSILON, Weights
from recurra.program.builder import Builder, as_array
from recurra.program.operations import Array, Value

__all__ = ["add_recurrent_layer"]

_KINDS: dict[str, Literal["tanh", "sigmoid", "relu"]] = {"tanh": "tanh", "sigmoid": "sigmoid", "relu": "relu"}


def add_recurrent_layer(
    builder: Builder, cell: Cell, weights: Weights, value: Value, zoneout: tuple[float, ...], name: str
) -> Value:
    """Add one layer that reads `value`, and return its output, which is the first part of its state.

    Args:
        builder: of the program.
        cell: the equations.
        weights: of the layer; letters as in `Weights`.
        value: (I,), the input of the layer.
        zoneout: by part of the state, the probability that a unit keeps its value: as in evaluation, its expectation.
        name: prefix of the names of the state's parts; {part} stands for the part.

    Raises:
        CellError: if the equations cannot be compiled, as those with products or sizes of their own.
    """
    check_by_unit(cell)
    w = {key: None if part is None else as_array(part) for key, part in weights._asdict().items()}
    weight_ih, weight_hr = w["weight_ih"], w["weight_hr"]
    assert weight_ih is not None
    units = len(weight_ih) // len(cell.gates)
    size = units if weight_hr is None else len(weight_hr)
    state = tuple(builder.state(name.format(part=part), units if k else size) for k, part in enumerate(cell.state))
    x, u = _projections(builder, cell, w, value, state)
    output = state[0] if weight_hr is None else builder.frame(units)
    own_zoneout = zoneout if weight_hr is None else (0.0, *zoneout[1:])
    builder.emit(
        "update",
        x,
        output,
        second=u,
        parts=state,
        size=units,
        cell=cell,
        per_unit=w["per_unit"],
        zoneout=own_zoneout,
        reads_output=weight_hr is None,
    )
    if weight_hr is None:
        return output
    projected = builder.dense(output, weight_hr, w["bias_hr"])
    if cell.output_nonlinearity in _KINDS:
        builder.emit(_KINDS[cell.output_nonlinearity], projected, projected)
    return builder.emit("blend", projected, state[0], second=state[0], number=zoneout[0])


def _projections(
    builder: Builder, cell: Cell, w: dict[str, Array | None], value: Value, state: tuple[Value, ...]
) -> tuple[Value | None, Value | None]:
    """The input and the recurrent projection; None for the first: it is a part of the second."""
    weight_ih, weight_hh = w["weight_ih"], w["weight_hh"]
    assert weight_ih is not None
    rows = len(weight_ih)
    if weight_hh is None:
        return builder.dense(value, weight_ih, w["bias_ih"]), None
    summed = {*sum_only_gates(trace(cell))} == {*cell.gates} and not cell.layer_norm and not cell.second_stage_gates
    if summed:
        bias = w["bias_ih"]
        if bias is not None and w["bias_hh"] is not None:
            bias = bias + w["bias_hh"]
        both = builder.dense(value, weight_ih, bias)
        _recurrent(builder, cell, weight_hh, None, state[0], both, accumulate=True)
        return None, both
    if cell.layer_norm:
        x = _normalised(builder, cell, builder.dense(value, weight_ih, None), w["norm_ih"], w["bias_ih"])
    else:
        x = builder.dense(value, weight_ih, w["bias_ih"])
    u = builder.frame(rows)
    if cell.layer_norm:
        _recurrent(builder, cell, weight_hh, None, state[0], u)
        return x, _normalised(builder, cell, u, w["norm_hh"], w["bias_hh"])
    units = rows // len(cell.gates)
    first_stage = rows - units * len(cell.second_stage_gates)
    bias = w["bias_hh"]
    first_bias = None if bias is None else bias[:first_stage]
    _recurrent(builder, cell, weight_hh[:first_stage], first_bias, state[0], u.part(0, first_stage))
    if cell.second_stage_gates:
        modulated = builder.emit(
            "modulate",
            x,
            builder.frame(units),
            second=u,
            parts=state,
            cell=cell,
            per_unit=w["per_unit"],
            zoneout=(0.0,) * len(state),
        )
        second_bias = None if bias is None else bias[first_stage:]
        builder.dense(modulated, weight_hh[first_stage:], second_bias, u.part(first_stage, rows - first_stage))
    return x, u


def _recurrent(
    builder: Builder,
    cell: Cell,
    weight: Array,
    bias: Array | None,
    output: Value,
    target: Value,
    accumulate: bool = False,
) -> None:
    """The product of the recurrent weights with the last output."""
    rows = len(weight)
    if cell.recurrence == "diagonal":
        gates = len(cell.gates)
        builder.emit(
            "diagonal",
            output,
            target,
            size=rows // gates,
            groups=gates,
            left=weight.reshape(-1),
            right=bias,
            accumulate=accumulate,
        )
    elif cell.recurrence == "block_diagonal":
        width = weight.shape[1]
        for first in range(0, rows, width):
            # The rows of one gate and head read the units of that head.
            head = first // width % cell.heads
            own_bias = None if bias is None else bias[first : first + width]
            builder.emit(
                "dense",
                output.part(head * width, width),
                target.part(first, width),
                weight=np.ascontiguousarray(weight[first : first + width]),
                bias=own_bias,
                accumulate=accumulate,
            )
    else:
        builder.emit("dense", output, target, weight=weight, bias=bias, accumulate=accumulate)


def _normalised(builder: Builder, cell: Cell, value: Value, scale: Array | None, bias: Array | None) -> Value:
    gates = len(cell.gates)
    return builder.emit(
        "normalise", value, value, size=value.size // gates, groups=gates, left=scale, right=bias, number=NORM_EPSILON
    )
