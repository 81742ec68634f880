"""The engine as torch operators, for torch.compile, torch.func's transforms and fake tensors.

`recurra::recurrence` runs a cell over a sequence and `recurra::recurrence_backward` gives its gradients, both on the
engine; a derivative of these gradients, and their forward-mode derivative, is the reference's. A cell is
passed as a string, and the engine's arguments as a list of the tensors present with a list of which are present.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from recurra.cells import Cell
from recurra.kernels.native import implementations, vmap
from recurra.kernels.native.arguments import Arguments
from recurra.kernels.native.cell_keys import key_of
from recurra.kernels.native.forward import Saved
from recurra.kernels.native.library import LIBRARY, listed
from recurra.kernels.native.operator_gradients import gradients, recurrence_autograd, recurrence_backward_autograd
from recurra.kernels.torch_state import requires_grad

__all__ = ["run", "run_backward"]


def run(cell: Cell, arguments: Arguments, lengths: Tensor | None, reverse: bool) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The outputs and the final state by part, as operators."""
    flat = arguments.flat()
    tensors = [tensor for tensor in flat if tensor is not None]
    present = [tensor is not None for tensor in flat]
    training = torch.is_grad_enabled() and any(requires_grad(tensor) for tensor in tensors)
    output, final, _ = torch.ops.recurra.recurrence(key_of(cell), tensors, present, lengths, reverse, training)
    return output, tuple(final)


def run_backward(
    cell: Cell,
    flat: Sequence[Tensor | None],
    saved: Saved,
    lengths: Tensor | None,
    reverse: bool,
    cotangents: Sequence[Tensor | None],
    needed: Sequence[bool],
) -> list[Tensor | None]:
    """The gradients of `Arguments.flat`, as operators."""
    present = [tensor is not None for tensor in flat]
    tensors = [tensor for tensor in flat if tensor is not None]
    wanted = [needs for needs, there in zip(needed, present, strict=True) if there]
    results = iter(
        gradients(key_of(cell), tensors, present, saved.output, listed(saved), lengths, reverse, cotangents, wanted)
    )
    return [next(results) if there else None for there in present]


torch.library.register_fake("recurra::recurrence", implementations.recurrence_fake, lib=LIBRARY)
torch.library.register_fake("recurra::recurrence_backward", implementations.recurrence_backward_fake, lib=LIBRARY)
LIBRARY.impl("recurrence", implementations.recurrence, "CPU")
LIBRARY.impl("recurrence_backward", implementations.recurrence_backward, "CPU")
LIBRARY.impl("recurrence", recurrence_autograd, "Autograd", with_keyset=True)
LIBRARY.impl("recurrence_backward", recurrence_backward_autograd, "Autograd", with_keyset=True)
torch.library.register_vmap("recurra::recurrence", vmap.forward_rule, lib=LIBRARY)
torch.library.register_vmap("recurra::recurrence_backward", vmap.backward_rule, lib=LIBRARY)
