"""A whole sequence as the steps of a stream: with weights of fewer bits, or of which blocks of zeros are skipped."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from recurra.kernels.native import extension
from recurra.kernels.native.arguments import Arguments
from recurra.kernels.native.prepared import Prepared
from recurra.kernels.weights import Weights

__all__ = ["WEIGHT_FORMATS", "StepPrograms", "run_steps", "step_programs"]

#: By name, as `WeightFormat` of csrc/step_products.hpp counts them.
WEIGHT_FORMATS = {"float32": 0, "bfloat16": 1, "int8": 2}
_INPUT, _FRAME, _STATE, _OUTPUT = range(4)
_PROJECTED = 2**20  # values of projected inputs that are held at a time


class StepPrograms(NamedTuple):
    """A layer as programs of the engine, whose weights are copies.

    Attributes:
        projection: of the inputs, whose rows are those of many steps.
        step: from a projected input to the output and the next state.
    """

    projection: Any
    step: Any


def step_programs(prepared: Prepared, weights: Weights, weight_format: str = "float32") -> StepPrograms:
    """The programs of a layer.

    Args:
        prepared: a layer whose recurrent projection is a plain product.
        weights: of the layer, float32.
        weight_format: how those of both products are stored, one of `WEIGHT_FORMATS`.
    """
    native, entries = extension.loaded(), prepared.compiled.step
    arrays = {name: None if w is None else w.detach().contiguous().numpy() for name, w in weights._asdict().items()}
    hidden, parts, stored = prepared.hidden, len(prepared.sizes), WEIGHT_FORMATS[weight_format]
    rows, features = weights.weight_ih.shape
    summed = prepared.compiled.shares_gradient
    bias_ih, bias_hh = arrays["bias_ih"], arrays["bias_hh"]
    if summed and bias_hh is not None:
        bias_ih, bias_hh = bias_hh if bias_ih is None else bias_ih + bias_hh, None

    def program(*sizes: int) -> Any:
        made = native.StepProgram(extension.instruction_set(), "", *sizes, 0, torch.get_num_threads())
        made.shares_rows = True
        return made

    def add(to: Any, kind: str, size: int, locations: list[tuple[int, int]], own: Any = (), more: bool = False) -> None:
        to._add(native.step_kinds[kind], locations, list(own), size, 1, 1, 1, 0.0, more)

    none, x = (_FRAME, -1), (_FRAME, 0)
    projection = program(features, 0, rows, 0)
    add(projection, "dense", rows, [(_INPUT, 0), none, (_OUTPUT, 0)])
    projection._set_weight(arrays["weight_ih"], bias_ih, stored)

    step = program(rows, parts * hidden, hidden, rows if summed else 2 * rows)
    u = x if summed else (_FRAME, rows)
    state = [(_STATE, k * hidden) for k in range(parts)]
    add(step, "copy", rows, [(_INPUT, 0), none, x])
    add(step, "dense", hidden, [state[0], none, u], more=summed)
    step._set_weight(arrays["weight_hh"], bias_hh, stored)
    add(step, "update", hidden, [none if summed else x, u, state[0]], state)
    step._set_cell(entries.update, entries.prepare, entries.prepared, arrays["per_unit"], [0.0] * parts, True)
    add(step, "copy", hidden, [state[0], none, (_OUTPUT, 0)])
    return StepPrograms(projection, step)


def run_steps(
    programs: StepPrograms, prepared: Prepared, a: Arguments, lengths: Tensor | None = None
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The outputs (T, B, H) and the final state by part (B, H).

    Args:
        programs: of the layer.
        prepared: the layer.
        a: the tensors.
        lengths: true lengths (B,) int64 on the CPU; None: all are T.
    """
    inputs, state = a.inputs.detach(), torch.cat([part.detach() for part in a.state], 1)
    if lengths is None:
        output, final = _run(programs, prepared, inputs.flip(0) if prepared.reverse else inputs, state)
        output = output.flip(0) if prepared.reverse else output
    else:
        output, final = _run_ragged(programs, prepared, inputs, state, lengths)
    return output, tuple([part.contiguous() for part in final.split(prepared.hidden, 1)])


def _run(programs: StepPrograms, prepared: Prepared, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs and the last state (B, S) of sequences of equal length, from a state (B, S)."""
    native, (steps, batch, features) = extension.loaded(), inputs.shape
    rows = len(prepared.cell.gates) * prepared.hidden
    carried = native.StepState("", batch, state.shape[1])
    carried.values[:] = state.numpy()
    output = np.empty((steps, batch, prepared.hidden), np.float32)
    x = inputs.contiguous().numpy()
    together = max(_PROJECTED // (batch * rows), 1)
    projected = np.empty((min(together, steps), batch, rows), np.float32)
    for first in range(0, steps, together):
        part = x[first : first + together]
        count = len(part) * batch
        own = projected[: len(part)]
        programs.projection(
            part.reshape(1, count, features), native.StepState("", count, 0), own.reshape(1, count, rows)
        )
        programs.step(own, carried, output[first : first + together])
    return torch.from_numpy(output), torch.from_numpy(np.array(carried.values))


def _run_ragged(
    programs: StepPrograms, prepared: Prepared, inputs: Tensor, state: Tensor, lengths: Tensor
) -> tuple[Tensor, Tensor]:
    """Sequences of several lengths: the longest first, and from one length to the next those that are left."""
    order = lengths.argsort(descending=True, stable=True)
    ends = lengths[order]
    inputs, final = inputs[:, order], state[order]
    inputs = _reversed(inputs, ends) if prepared.reverse else inputs
    output, begin = inputs.new_zeros(*inputs.shape[:2], prepared.hidden), 0
    for end in ends.unique().tolist():
        rows = int((ends >= end).sum())
        if end:
            left = inputs[begin:end, :rows]
            output[begin:end, :rows], final[:rows] = _run(programs, prepared, left, final[:rows])
        begin = end
    output = _reversed(output, ends) if prepared.reverse else output
    back = order.argsort()
    return output[:, back], final[back]


def _reversed(values: Tensor, lengths: Tensor) -> Tensor:
    """Values (T, B, ...), each row from its last step to its first; what is beyond the length stays."""
    time = torch.arange(len(values)).unsqueeze(1)
    index = torch.where(time < lengths, lengths - 1 - time, time)
    return values[index, torch.arange(values.shape[1])]
