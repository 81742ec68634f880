"""What does not change from call to call of a layer in one direction."""

from typing import NamedTuple

from torch import Tensor

from recurra.cells import Cell
from recurra.kernels.native import extension
from recurra.kernels.native.arguments import Arguments
from recurra.kernels.native.call import call_of_layer, set_sequence, set_weights, sizes
from recurra.kernels.weights import Weights

__all__ = ["Prepared", "new_call", "prepare"]


class Prepared(NamedTuple):
    """A layer in one direction, with weights that keep their addresses.

    Attributes:
        cell: the equations.
        reverse: from each row's last step to its first.
        call: the bytes of a `Call` with all that does not depend on the sequence.
        compiled: the cell's functions.
        hidden: H.
        sizes: of each part of the state.
        fused_weights: elements of both weights, or 0 if the engine cannot compute the input projection.
        plain_product: whether the recurrent projection of a step is one product of all weights and the last output,
            which nothing projects: torch can make it in place of the engine.
    """

    cell: Cell
    reverse: bool
    call: bytes
    compiled: extension.CompiledCell
    hidden: int
    sizes: tuple[int, ...]
    fused_weights: int
    plain_product: bool


def prepare(cell: Cell, weights: Weights, state: tuple[Tensor, ...], reverse: bool) -> Prepared:
    """A prepared layer; of the state only the sizes count."""
    compiled = extension.best(cell)
    hidden, size = sizes(weights, state[0])
    first_stage = compiled.mixes_units and not cell.second_stage_gates
    count = 0
    if first_stage:
        count = weights.weight_ih.numel() + (0 if weights.weight_hh is None else weights.weight_hh.numel())
    return Prepared(
        cell,
        reverse,
        bytes(call_of_layer(cell, weights, hidden, size, reverse)),
        compiled,
        hidden,
        tuple([part.shape[1] for part in state]),
        count,
        first_stage and cell.recurrence == "dense" and weights.weight_hr is None,
    )


def new_call(prepared: Prepared, a: Arguments, lengths: Tensor | None, moved: bool = False) -> extension.Call:
    """A call for a sequence.

    Args:
        prepared: the layer.
        a: the tensors.
        lengths: (B,), or None.
        moved: whether the weights are not where they were when the layer was prepared.
    """
    call = extension.Call.from_buffer_copy(prepared.call)
    if moved:
        set_weights(call, a.weights)
    elif a.weights.per_unit is not None:  # stacked anew at each call
        call.per_unit = a.weights.per_unit.data_ptr()
    set_sequence(call, a, lengths)
    return call
