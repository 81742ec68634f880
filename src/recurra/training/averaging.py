"""Averages of the weights over the steps, which are then validated and kept in their place."""

from typing import Any

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from recurra.training.settings import TrainingSettings

__all__ = ["Averaging"]


class Averaging:
    """The exponential moving average (`averaging`), or the plain mean from a trigger on (`triggered_averaging`).

    The trigger is that of AWD-LSTM (Merity et al. 2018, algorithm 1): a validation loss no better than the best of
    those more than n validations back.

    Args:
        module: whose weights are averaged.
        settings: of the training.
    """

    def __init__(self, module: nn.Module, settings: TrainingSettings) -> None:
        self._module = module
        self._patience = settings.triggered_averaging
        self._losses: list[float] = []
        self._average: AveragedModel | None = None
        if settings.averaging:
            self._average = AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(settings.averaging))

    @property
    def module(self) -> nn.Module:
        """The module with the averaged weights, or the one that trains where there is no average (yet)."""
        return self._module if self._average is None else self._average.module

    def update(self) -> None:
        """Take the weights of a step in."""
        if self._average is not None:
            self._average.update_parameters(self._module)

    def validated(self, loss: float) -> None:
        """Hear of a validation, and begin to average where it triggers that."""
        if not self._patience or self._average is not None:
            return
        before = self._losses[: -self._patience]
        self._losses.append(loss)
        if before and loss > min(before):
            self._average = AveragedModel(self._module)
            self.update()

    def state_dict(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What is to be saved: tensors, and values for JSON."""
        tensors = {} if self._average is None else dict(self._average.state_dict())
        return tensors, {"losses": self._losses, "averages": self._average is not None}

    def load_state_dict(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self._losses = list(values["losses"])
        if values["averages"]:
            self._average = self._average or AveragedModel(self._module)
            self._average.load_state_dict(tensors)
