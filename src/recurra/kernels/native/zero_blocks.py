"""Inference of a layer many of whose weights are zero, in blocks: as a stream's steps, whose products skip them."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from recurra.kernels.native import extension
from recurra.kernels.native.arguments import Arguments
from recurra.kernels.native.prepared import Prepared
from recurra.kernels.weights import Weights

__all__ = ["BLOCK", "has_zero_blocks", "run_steps", "serves_steps"]

BLOCK = 16
"""Rows and columns of a block, as csrc/zero_blocks.hpp has it: one vector of the engine with AVX-512, two with AVX2. A
block is square, so that it is also one of the transposed weight."""

# Below so many steps of all rows, or weights, packing takes as long as what it saves.
_LEAST_STEPS, _LEAST_WEIGHTS = 64, 2**16
# The fraction of the blocks of both weights that may be other than zero: with more, the engine's own loop is as fast.
_MOST_DENSE = 0.5
_INPUT, _FRAME, _STATE, _OUTPUT = range(4)


def has_zero_blocks(weights: Weights) -> bool:
    """Whether so many blocks of 16 by 16 weights are zero that products which skip them take less time.

    Dense weights cost a look at one value in each of a half of their blocks.
    """
    weight_ih, weight_hh = weights.weight_ih, weights.weight_hh
    if not extension.is_installed() or weight_hh is None or weight_hh.numel() < _LEAST_WEIGHTS:
        return False
    left = _MOST_DENSE * (weight_ih.numel() + weight_hh.numel())
    for weight in (weight_hh, weight_ih):
        if weight.dtype != torch.float32 or not weight.is_cpu:
            return False
        array, most = np.ascontiguousarray(weight.detach().numpy()), left / max(weight.numel(), 1)
        density = extension.loaded().block_density(array, most)
        if density > most:
            return False
        left -= density * weight.numel()
    return True


def serves_steps(prepared: Prepared, a: Arguments, lengths: Tensor | None) -> bool:
    """Whether `run_steps` runs this inference, and saves time."""
    plain = lengths is None and a.mask is None and not a.zoneout and a.weights.norm_ih is None
    steps, batch, _ = a.inputs.shape
    return plain and prepared.plain_product and steps * batch >= _LEAST_STEPS and has_zero_blocks(a.weights)


def run_steps(prepared: Prepared, a: Arguments) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The outputs (T, B, H) and the final state by part (B, H)."""
    machine = _machine(prepared, a.weights)
    steps, batch, _ = a.inputs.shape
    hidden = prepared.hidden
    state = extension.loaded().StepState("", batch, len(a.state) * hidden)
    for k, part in enumerate(a.state):
        state.values[:, k * hidden : (k + 1) * hidden] = part.detach().numpy()
    inputs = a.inputs.detach().flip(0) if prepared.reverse else a.inputs.detach()
    output = np.empty((steps, batch, hidden), np.float32)
    machine(inputs.numpy(), state, output)
    final = torch.from_numpy(np.array(state.values)).split(hidden, 1)
    result = torch.from_numpy(output)
    return result.flip(0) if prepared.reverse else result, tuple([part.contiguous() for part in final])


def _machine(prepared: Prepared, weights: Weights) -> Any:
    """A `StepProgram` of one step: both projections, their update, and the output."""
    native, entries = extension.loaded(), prepared.compiled.step
    arrays = {name: None if w is None else w.detach().contiguous().numpy() for name, w in weights._asdict().items()}
    hidden, parts = prepared.hidden, len(prepared.sizes)
    rows, features = weights.weight_ih.shape
    summed = prepared.compiled.shares_gradient
    bias_ih, bias_hh = arrays["bias_ih"], arrays["bias_hh"]
    if summed and bias_hh is not None:
        bias_ih, bias_hh = bias_hh if bias_ih is None else bias_ih + bias_hh, None
    sizes = (features, parts * hidden, hidden, rows if summed else 2 * rows)
    machine = native.StepProgram(extension.instruction_set(), "", *sizes, 0, torch.get_num_threads())
    none, x = (_FRAME, -1), (_FRAME, 0)
    u = x if summed else (_FRAME, rows)
    state = [(_STATE, k * hidden) for k in range(parts)]

    def add(kind: str, locations: list[tuple[int, int]], own: list[tuple[int, int]], accumulate: bool) -> None:
        machine._add(native.step_kinds[kind], locations, own, hidden, 1, 1, 1, 0.0, accumulate)

    add("dense", [(_INPUT, 0), none, x], [], False)
    machine._set_weight(arrays["weight_ih"], bias_ih, 0)
    add("dense", [state[0], none, u], [], summed)
    machine._set_weight(arrays["weight_hh"], bias_hh, 0)
    add("update", [none if summed else x, u, state[0]], state, False)
    machine._set_cell(entries.update, entries.prepare, entries.prepared, arrays["per_unit"], [0.0] * parts, True)
    add("copy", [state[0], none, (_OUTPUT, 0)], [], False)
    return machine
