"""The mean loss over batches, exact over batches of different weight and over processes."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from recurra.data.batches.batch import Batch
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
    """A module's output and state for a batch."""
    if not carry:
        return module(batch.inputs)
    if batch.resets is None:
        return module(batch.inputs, state)
    return module(batch.inputs, state, resets=batch.resets)
