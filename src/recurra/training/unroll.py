"""One pass forward: the batch whose loss counts, after those the gradient flows back through."""

from typing import Any

from torch import nn

from recurra.data.batches.batch import Batch
from recurra.training.carried import detach
from recurra.training.evaluation import call

__all__ = ["Unroll"]


class Unroll(nn.Module):
    """A module over a window of batches, each from the state after the one before.

    A module itself, so that several processes average the gradient of the whole window at once.

    Args:
        module: returns (output, state).
        carry: whether the state is carried from batch to batch.
    """

    def __init__(self, module: nn.Module, carry: bool) -> None:
        super().__init__()
        self.module = module
        self._carry = carry

    def forward(self, window: list[Batch], state: Any) -> tuple[Any, Any, Any]:
        """The output for the last batch of the window, and the detached states after its first and its last."""
        after_first = None
        output = None
        for position, batch in enumerate(window):
            output, state = call(self.module, batch, state, self._carry)
            if position == 0 and self._carry:
                after_first = detach(state)
        after_last = after_first if len(window) == 1 else detach(state) if self._carry else None
        return output, after_first, after_last
