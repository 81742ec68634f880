"""Inference on the engine with weights that are stored in fewer bits: bfloat16, or int8 with a scale for each row."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from recurra.cells import Cell
from recurra.errors import BackendError
from recurra.kernels.empty import run_empty
from recurra.kernels.native import extension
from recurra.kernels.native.arguments import arguments
from recurra.kernels.native.prepared import Prepared, prepare
from recurra.kernels.native.steps import StepPrograms, run_steps, step_programs
from recurra.kernels.weights import Masks, Weights
from recurra.shapes import check_lengths

__all__ = ["run_stored"]


class _Stored(NamedTuple):
    """The programs of a layer, and what they were made of."""

    key: list[Any]
    programs: StepPrograms


_programs = WeakTensorKeyDictionary()  # by the input weight of a layer and direction


def run_stored(
    weight_format: str,
    cell: Cell,
    inputs: Tensor,
    state: tuple[Tensor, ...],
    weights: Weights,
    lengths: Tensor | None = None,
    reverse: bool = False,
    masks: Masks | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run a cell over a sequence without gradients.

    The weights of both products are rounded once and stored until one of them changes in place or is replaced. The
    values of a step are then rounded too: to bfloat16 where the processor has instructions for it, with int8 to 8 bits
    with a scale for each row of the batch.

    Args:
        weight_format: "bfloat16" or "int8". The other arguments, and the results, are those of
            `recurra.kernels.reference.run`.

    Raises:
        BackendError: gradients are to be computed.
        ShapeError: if the tensors do not fit together.
    """
    tensors = [inputs, *state, *(weight for weight in weights if weight is not None)]
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        raise BackendError(
            f"backend 'native_{weight_format}' cannot serve: weights that are stored in fewer bits have no gradients. "
            "Call the layer within torch.no_grad(), or use backend='auto'."
        )
    if inputs.shape[0] == 0 or inputs.shape[1] == 0:
        return run_empty(inputs, state, weights)
    if lengths is not None:
        lengths = check_lengths(lengths, inputs.shape[1], inputs.shape[0])
    a = arguments(cell, inputs, state, weights, masks)
    prepared = prepare(cell, a.weights, a.state, reverse)
    return run_steps(_programs_of(weight_format, prepared, weights), prepared, a, lengths)


def _programs_of(weight_format: str, prepared: Prepared, weights: Weights) -> StepPrograms:
    """The programs of a layer, which are made again if what they were made of has changed."""
    made_of: list[Any] = [weight_format, prepared.cell, extension.instruction_set(), torch.get_num_threads()]
    for weight in weights:
        if weight is weights.per_unit and weight is not None:  # stacked anew at each call
            made_of.append(weight.detach().numpy().tobytes())
        elif weight is not None:
            # Tensors of torch.inference_mode do not count how often they are changed.
            changes = object() if weight.is_inference() else weight._version
            made_of.append((weight.data_ptr(), weight.shape, changes))
    stored = _programs.get(weights.weight_ih)
    if stored is None or stored.key != made_of:
        stored = _programs[weights.weight_ih] = _Stored(made_of, step_programs(prepared, weights, weight_format))
    return stored.programs
