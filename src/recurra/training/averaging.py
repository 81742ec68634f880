"""Averages of the weights over the steps, which are then validated and saved instead of them."""

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

from recurra.training.settings import TrainingSettings

__all__ = ["Averaging"]


_AGE = 9  # of the steps so far, one part in so many is about how far the exponential average looks back


class Averaging:
    """The exponential moving average (`averaging`), or the plain mean from a trigger on (`triggered_averaging`).

    The decay of the exponential average is t / (t + 9) after t steps, until that is more than the decay of the
    settings: it looks back about a ninth of the steps so far (polynomial-decay averaging, Shamir and Zhang 2013), and
    so forgets the first weights in a short training too.

    The trigger is that of AWD-LSTM (Merity et al. 2018, algorithm 1): a validation loss no better than the best of
    those more than n validations back.

    Args:
        module: whose weights are averaged.
        settings: of the training.
    """

    def __init__(self, module: nn.Module, settings: TrainingSettings) -> None:
        self._module = module
        self._decay = settings.averaging
        self._patience = settings.triggered_averaging
        self._losses: list[float] = []
        self._count = 0
        self._average: nn.Module | None = None
        if self._decay:
            self._begin()

    @property
    def module(self) -> nn.Module:
        """The module with the averaged weights, or the one that trains if there is no average (yet)."""
        return self._module if self._average is None else self._average

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights of a step in; buffers are those of the last."""
        if self._average is None:
            return
        steps = self._count
        weight = max(1 - self._decay, _AGE / (steps + _AGE)) if self._decay else 1 / (steps + 1)
        torch._foreach_lerp_(self._averages, self._parameters, weight)  # pyright: ignore[reportPrivateImportUsage]
        for buffer, now in zip(self._average.buffers(), self._module.buffers(), strict=True):
            buffer.copy_(now)
        self._count += 1

    def validated(self, loss: float) -> None:
        """Hear of a validation, and begin to average where it triggers that."""
        if not self._patience or self._average is not None or not math.isfinite(loss):
            return
        before = self._losses[: -self._patience]
        self._losses.append(loss)
        if before and loss > min(before):
            self._begin()
            self.update()

    def state_dict(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What is to be saved: tensors, and values for JSON."""
        tensors = {} if self._average is None else dict(self._average.state_dict())
        return tensors, {"losses": self._losses, "averages": self._average is not None, "count": self._count}

    def load_state_dict(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        self._losses, self._count = list(values["losses"]), values["count"]
        if values["averages"]:
            if self._average is None:
                self._begin()
            self.module.load_state_dict(tensors)

    def _begin(self) -> None:
        self._average = copy.deepcopy(self._module)
        self._averages = [parameter.detach() for parameter in self._average.parameters()]
        self._parameters: list[Tensor] = list(self._module.parameters())
