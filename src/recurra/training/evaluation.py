"""The mean loss over batches, exact over batches of different weight and over processes."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from recurra.data.batches.batch import Batch
from recurra.errors import ParameterError
from recurra.training.carried import detach

__all__ = ["Mean", "evaluate"]


class Mean(NamedTuple):
    """A mean that can still be joined with others.

    Attributes:
        total: the sum.
        weight: what it is to be divided by.
    """

    total: float
    weight: float


@torch.no_grad()
def evaluate(
    module: nn.Module, loss: Callable[[Any, Any], Tensor], batches: Iterable[Batch], carry: bool = False
) -> Mean:
    """The loss over batches, each counting by its weight.

    Args:
        module: as the `Trainer` takes it, in whichever mode it is in.
        loss: from the module's output and a batch's target, a mean over the batch's weight.
        batches: to be read in order.
        carry: whether each starts from the state after the one before (`Trainer`'s `truncation`).
    """
    total = weight = 0.0
    state = None
    for batch in batches:
        output, state = call(module, batch, state, carry)
        state = detach(state) if carry else None
        if batch.weight:
            total += batch.weight * float(loss(output, batch.target))
            weight += batch.weight
    return Mean(total, weight)


def call(module: nn.Module, batch: Batch, state: Any, carry: bool) -> tuple[Any, Any]:
    """A module's output and state for a batch.

    Raises:
        ParameterError: the module returns something else.
    """
    if not carry:
        returned = module(batch.inputs)
    elif batch.resets is None:
        returned = module(batch.inputs, state)
    else:
        returned = module(batch.inputs, state, resets=batch.resets)
    if not isinstance(returned, tuple) or len(returned) != 2:
        got = f"tuple of {len(returned)}" if isinstance(returned, tuple) else type(returned).__name__
        hint = "Return (output, None) from a module without a state."
        raise ParameterError("module", "a module that returns (output, state)", got, hint)
    return returned
