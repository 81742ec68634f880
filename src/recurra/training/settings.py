"""How to train, as values."""

import math
from dataclasses import dataclass

from recurra.errors import ParameterError
from recurra.shapes import check_positive, check_probability

__all__ = ["OPTIMIZERS", "SCHEDULES", "TrainingSettings"]

OPTIMIZERS = ("Adam", "AdamW", "NAdam", "RAdam", "RMSprop", "Adagrad", "SGD")
SCHEDULES = ("constant", "OneCycleLR", "CosineAnnealingLR", "LinearLR", "ReduceLROnPlateau")


@dataclass(frozen=True)
class TrainingSettings:
    """How to train.

    Args:
        max_steps: optimiser steps at most.
        optimizer: a name of torch.optim.
        learning_rate: the highest, where a schedule varies it.
        weight_decay: as the optimiser defines it.
        schedule: "constant", or a name of torch.optim.lr_scheduler.
        max_grad_norm: gradients are scaled down to this global norm; 0 for no clipping.
        averaging: decay of the exponential moving average of the weights, in [0, 1); the averaged weights are
            validated and kept. 0 for none.
        validate_every: steps between validations.
        patience: validations without a better loss after which training stops; 0 to never stop early.
        seed: of every generator.

    Raises:
        ParameterError: for a value out of its range.
    """

    max_steps: int = 1000
    optimizer: str = "AdamW"
    learning_rate: float = 2e-3
    weight_decay: float = 0.0
    schedule: str = "OneCycleLR"
    max_grad_norm: float = 1.0
    averaging: float = 0.99
    validate_every: int = 100
    patience: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("max_steps", "validate_every"):
            check_positive(name, getattr(self, name))
        for name in ("patience", "seed"):
            check_positive(name, getattr(self, name), at_least=0)
        for name in ("learning_rate", "weight_decay", "max_grad_norm"):
            _check_number(name, getattr(self, name))
        if self.learning_rate == 0:
            raise ParameterError("learning_rate", "a positive number", self.learning_rate)
        check_probability("averaging", self.averaging)
        if self.averaging == 1:
            raise ParameterError("averaging", "a number less than 1", self.averaging)
        if self.optimizer not in OPTIMIZERS:
            raise ParameterError("optimizer", f"one of {', '.join(OPTIMIZERS)}", self.optimizer)
        if self.schedule not in SCHEDULES:
            raise ParameterError("schedule", f"one of {', '.join(SCHEDULES)}", self.schedule)


def _check_number(name: str, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ParameterError(name, "a number not below 0", value)
