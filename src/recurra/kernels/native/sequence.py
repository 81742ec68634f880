"""A sequence on the engine: eagerly, or as operators if torch compiles or transforms."""

from collections.abc import Sequence

import torch
from torch import Tensor

from recurra.cells import Cell
from recurra.kernels import torch_state
from recurra.kernels.empty import run_empty
from recurra.kernels.native import forward as forwards
from recurra.kernels.native import operators
from recurra.kernels.native.arguments import Arguments, arguments
from recurra.kernels.native.autograd import Recurrence
from recurra.kernels.native.launches import run_together
from recurra.kernels.native.prepared import Prepared, prepare
from recurra.kernels.weights import Masks, Weights
from recurra.shapes import check_lengths

__all__ = ["run", "run_prepared"]


def run(
    cell: Cell,
    inputs: Tensor,
    state: tuple[Tensor, ...],
    weights: Weights,
    lengths: Tensor | None = None,
    reverse: bool = False,
    masks: Masks | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run a cell over a sequence; arguments and results as in `recurra.kernels.reference.run`.

    Raises:
        ShapeError: if the tensors do not fit together, which the engine would not notice.
        MemoryError: if there is not enough memory.
    """
    if inputs.shape[0] == 0 or inputs.shape[1] == 0:
        return run_empty(inputs, state, weights)
    if lengths is not None:
        # A copy: the caller may change them before the backward pass.
        lengths = check_lengths(lengths, inputs.shape[1], inputs.shape[0]).clone(memory_format=torch.contiguous_format)
    checked = arguments(cell, inputs, state, weights, masks)
    if torch_state.operators_are_needed(*(tensor for tensor in checked.flat() if tensor is not None)):
        return operators.run(cell, checked, lengths, reverse)
    return run_prepared([prepare(cell, checked.weights, checked.state, reverse)], [checked], lengths)[0]


def run_prepared(
    directions: Sequence[Prepared], arguments: Sequence[Arguments], lengths: Tensor | None = None
) -> list[tuple[Tensor, tuple[Tensor, ...]]]:
    """Run a prepared layer eagerly in one direction, or in both at the same time.

    Args:
        directions: the layer.
        arguments: of each direction.
        lengths: (B,) int64 on the CPU, contiguous, of both, or None.

    Returns:
        The outputs and the final state by part, of each direction.

    Raises:
        MemoryError: if there is not enough memory.
    """
    if torch.is_grad_enabled():
        flat = [tensor for each in arguments for tensor in each.flat()]
        if any(tensor is not None and tensor.requires_grad for tensor in flat):
            results = Recurrence.apply(tuple(directions), lengths, *flat)
            size = len(results) // len(directions)
            return [(results[k], results[k + 1 : k + size]) for k in range(0, len(results), size)]
    each = [forwards.forward(*of_one, lengths, False) for of_one in zip(directions, arguments, strict=True)]
    return [(output, final) for output, final, _ in run_together(each)]
