"""A whole sequence as the steps of a stream: with weights of fewer bits, or of which blocks of zeros are skipped."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from recurra.kernels.native import extension
from recurra.kernels.native.arguments import Arguments
from recurra.kernels.native.prepared import Prepared
from recurra.kernels.weights import Weights

__all__ = ["WEIGHT_FORMATS", "run_steps", "step_program"]

#: By name, as `WeightFormat` of csrc/step_products.hpp counts them.
WEIGHT_FORMATS = {"float32": 0, "bfloat16": 1, "int8": 2}
_INPUT, _FRAME, _STATE, _OUTPUT = range(4)


def step_program(prepared: Prepared, weights: Weights, weight_format: str = "float32") -> Any:
    """A `StepProgram` of one step: both projections, their update, and the output. The weights are copied.

    Args:
        prepared: a layer whose recurrent projection is a plain product.
        weights: of the layer, float32.
        weight_format: how those of both products are stored, one of `WEIGHT_FORMATS`.
    """
    native, entries = extension.loaded(), prepared.compiled.step
    arrays = {name: None if w is None else w.detach().contiguous().numpy() for name, w in weights._asdict().items()}
    hidden, parts = prepared.hidden, len(prepared.sizes)
    rows, features = weights.weight_ih.shape
    summed = prepared.compiled.shares_gradient
    bias_ih, bias_hh = arrays["bias_ih"], arrays["bias_hh"]
    if summed and bias_hh is not None:
        bias_ih, bias_hh = bias_hh if bias_ih is None else bias_ih + bias_hh, None
    sizes = (features, parts * hidden, hidden, rows if summed else 2 * rows)
    program = native.StepProgram(extension.instruction_set(), "", *sizes, 0, torch.get_num_threads())
    program.shares_rows = True
    none, x = (_FRAME, -1), (_FRAME, 0)
    u = x if summed else (_FRAME, rows)
    state = [(_STATE, k * hidden) for k in range(parts)]

    def add(kind: str, locations: list[tuple[int, int]], own: list[tuple[int, int]], accumulate: bool) -> None:
        program._add(native.step_kinds[kind], locations, own, hidden, 1, 1, 1, 0.0, accumulate)

    add("dense", [(_INPUT, 0), none, x], [], False)
    program._set_weight(arrays["weight_ih"], bias_ih, WEIGHT_FORMATS[weight_format])
    add("dense", [state[0], none, u], [], summed)
    program._set_weight(arrays["weight_hh"], bias_hh, WEIGHT_FORMATS[weight_format])
    add("update", [none if summed else x, u, state[0]], state, False)
    program._set_cell(entries.update, entries.prepare, entries.prepared, arrays["per_unit"], [0.0] * parts, True)
    add("copy", [state[0], none, (_OUTPUT, 0)], [], False)
    return program


def run_steps(
    program: Any, prepared: Prepared, a: Arguments, lengths: Tensor | None = None
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The outputs (T, B, H) and the final state by part (B, H).

    Args:
        program: of the layer, see `step_program`.
        prepared: the layer.
        a: the tensors.
        lengths: true lengths (B,) int64 on the CPU; None: all are T.
    """
    inputs, state = a.inputs.detach(), torch.cat([part.detach() for part in a.state], 1)
    if lengths is None:
        output, final = _run(program, prepared.hidden, inputs.flip(0) if prepared.reverse else inputs, state)
        output = output.flip(0) if prepared.reverse else output
    else:
        output, final = _run_ragged(program, prepared, inputs, state, lengths)
    return output, tuple([part.contiguous() for part in final.split(prepared.hidden, 1)])


def _run(program: Any, hidden: int, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs and the last state (B, S) of sequences of equal length, from a state (B, S)."""
    steps, batch, _ = inputs.shape
    carried = extension.loaded().StepState("", batch, state.shape[1])
    carried.values[:] = state.numpy()
    output = np.empty((steps, batch, hidden), np.float32)
    program(inputs.contiguous().numpy(), carried, output)
    return torch.from_numpy(output), torch.from_numpy(np.array(carried.values))


def _run_ragged(
    program: Any, prepared: Prepared, inputs: Tensor, state: Tensor, lengths: Tensor
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
            output[begin:end, :rows], final[:rows] = _run(program, prepared.hidden, left, final[:rows])
        begin = end
    output = _reversed(output, ends) if prepared.reverse else output
    back = order.argsort()
    return output[:, back], final[back]


def _reversed(values: Tensor, lengths: Tensor) -> Tensor:
    """Values (T, B, ...), each row from its last step to its first; what is beyond the length stays."""
    time = torch.arange(len(values)).unsqueeze(1)
    index = torch.where(time < lengths, lengths - 1 - time, time)
    return values[index, torch.arange(values.shape[1])]
