"""Training in closed form: a single step that solves for the weights, in the place of gradients."""

import math
from collections.abc import Callable

from torch import nn

from recurra.errors import RunError
from recurra.training.checkpoint import Checkpoint
from recurra.training.update import Updated

__all__ = ["ClosedForm"]


class ClosedForm:
    """Makes the step of a `Trainer` that has a `solve`: it has the methods of `Updater`, and nothing to continue from.

    Args:
        module: that is solved for.
        solve: sets the module's weights, and returns the loss on the training data.
    """

    def __init__(self, module: nn.Module, solve: Callable[[], float]) -> None:
        self._solve = solve
        self.device = next(module.parameters()).device

    def __call__(self, step: int) -> Updated:
        """Solve. Raises RunError if the loss is not finite."""
        loss = self._solve()
        if not math.isfinite(loss):
            raise RunError(f"the readout has a loss of {loss} on the training data. Look for extreme values in them.")
        return Updated(loss, 0.0, False, 0.0)

    def batches_of(self, step: int) -> str:
        """Every batch."""
        return "all"

    def validated(self, loss: float) -> None:
        """There is no schedule to hear of it."""

    def check_skipped(self, step: int) -> None:
        """No step is skipped."""

    def save(self, checkpoint: Checkpoint) -> None:
        """There is nothing beside the module."""

    def load(self, checkpoint: Checkpoint, replanned: bool = False) -> None:
        """There is nothing beside the module."""
