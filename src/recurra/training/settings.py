"""How to train, as values."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from recurra.errors import ParameterError
from recurra.shapes import check_positive, check_probability

__all__ = ["CLIPPINGS", "OPTIMIZERS", "PRECISIONS", "SCHEDULES", "TrainingSettings"]

# Not LBFGS, which evaluates the loss several times a step, nor Rprop, which needs the gradient of all data, nor
# SparseAdam and Muon, which are for some parameters only.
OPTIMIZERS = (
    "Adam",
    "AdamW",
    "NAdam",
    "RAdam",
    "Adamax",
    "Adafactor",
    "Adagrad",
    "Adadelta",
    "ASGD",
    "RMSprop",
    "SGD",
)
SCHEDULES = ("constant", "OneCycleLR", "CosineAnnealingLR", "LinearLR", "ReduceLROnPlateau")
CLIPPINGS = ("none", "norm", "value", "adaptive", "percentile", "zscore")
PRECISIONS = ("float32", "bfloat16", "float16")

_WITH_BETAS = ("Adam", "AdamW", "NAdam", "RAdam", "Adamax")
_WITH_MOMENTUM = ("RMSprop", "SGD")
_BETAS = (0.9, 0.999)


@dataclass(frozen=True)
class TrainingSettings:
    """How to train.

    Args:
        max_steps: optimiser steps at most.
        optimizer: a name of torch.optim.
        learning_rate: the highest, where a schedule varies it.
        momentum: of SGD and RMSprop, in [0, 1).
        betas: of Adam and its kin, each in [0, 1): the decay of the running mean of gradients, and of their squares.
        weight_decay: as the optimiser defines it; biases, scales of normalisation and per-unit parameters are spared.
        schedule: "constant", or a name of torch.optim.lr_scheduler.
        warmup_steps: steps over which the learning rate rises in a line, before the schedule begins; 0 for none.
            OneCycleLR warms up by itself, and ReduceLROnPlateau takes none.
        clipping: of gradients: "none", by their global "norm", by "value", "adaptive" to each unit's weights (AGC), by
            a running "percentile" of the norm (AutoClip) or by its "zscore" (ZClip).
        max_grad_norm: gradients are scaled down to this global norm (clipping "norm"); 0 for no limit.
        clip_value: gradients are cut to plus and minus this (clipping "value").
        clip_factor: the norm of a unit's gradient over that of its weights, at most (clipping "adaptive").
        clip_percentile: of the norms so far, 0 to 100, to which gradients are scaled down (clipping "percentile").
        clip_zscore: standard deviations over the mean above which a norm is a spike (clipping "zscore").
        accumulation: batches whose gradients make one step together.
        max_skipped: steps in a row whose loss or gradient is not finite, skipped before training stops; 0 to stop at
            the first.
        averaging: decay of the exponential moving average of the weights, in [0, 1); the averaged weights are
            validated and kept. 0 for none.
        triggered_averaging: n of NT-ASGD (Merity et al. 2017): from a validation loss worse than the best of those more
            than n validations back, the mean of the weights of every further step is validated and kept; 0 for never.
            Needs averaging 0.
        activation_penalty: weight of the squared outputs of the last recurrent layer in the loss (activation
            regularisation).
        temporal_activation_penalty: weight of their squared changes from step to step (temporal activation
            regularisation).
        precision: "float32", or "bfloat16" or "float16" for mixed precision.
        compile: compile the module with torch.compile.
        validate_every: steps between validations.
        patience: validations without a better loss after which training stops; 0 to never stop early.
        keep: latest checkpoints to keep, beside the best.
        health_every: steps between the figures of gradient health in the log; 0 for never.
        seed: of every generator.

    Raises:
        ParameterError: for a value out of its range, or one that another makes useless.
    """

    max_steps: int = 1000
    optimizer: str = "AdamW"
    learning_rate: float = 2e-3
    momentum: float = 0.0
    betas: tuple[float, float] = _BETAS
    weight_decay: float = 0.0
    schedule: str = "OneCycleLR"
    warmup_steps: int = 0
    clipping: str = "norm"
    max_grad_norm: float = 1.0
    clip_value: float = 1.0
    clip_factor: float = 0.01
    clip_percentile: float = 10.0
    clip_zscore: float = 2.5
    accumulation: int = 1
    max_skipped: int = 10
    averaging: float = 0.99
    triggered_averaging: int = 0
    activation_penalty: float = 0.0
    temporal_activation_penalty: float = 0.0
    precision: str = "float32"
    compile: bool = False
    validate_every: int = 100
    patience: int = 0
    keep: int = 2
    health_every: int = 10
    seed: int = 0

    def __init_subclass__(cls) -> None:
        """Add these settings to the docstring of a task's, which command lines take their help from."""
        super().__init_subclass__()
        own, raises, rest = (cls.__doc__ or "").partition("\n\n    Raises:")
        cls.__doc__ = own.rstrip() + _ARGUMENTS + raises + rest

    @classmethod
    def from_options(cls, options: Mapping[str, Any], hint: str = "") -> Self:
        """Settings from options by name.

        Raises:
            ParameterError: for an option that is none of these settings, with the hint, or a value out of its range.
        """
        unknown = sorted(set(options) - set(cls.__dataclass_fields__))
        if unknown:
            raise ParameterError(
                "options", f"names among {', '.join(cls.__dataclass_fields__)}", ", ".join(unknown), hint
            )
        return cls(**options)

    def __post_init__(self) -> None:
        for name in ("max_steps", "validate_every", "accumulation", "keep"):
            check_positive(name, getattr(self, name))
        for name in ("patience", "seed", "warmup_steps", "max_skipped", "triggered_averaging", "health_every"):
            check_positive(name, getattr(self, name), at_least=0)
        for name in ("weight_decay", "max_grad_norm", "activation_penalty", "temporal_activation_penalty"):
            _check_number(name, getattr(self, name))
        for name in ("learning_rate", "clip_value", "clip_factor", "clip_zscore"):
            _check_number(name, getattr(self, name))
            if getattr(self, name) == 0:
                raise ParameterError(name, "a positive number", getattr(self, name))
        _check_number("clip_percentile", self.clip_percentile)
        if self.clip_percentile > 100:
            raise ParameterError("clip_percentile", "a number from 0 to 100", self.clip_percentile)
        for name in ("averaging", "momentum"):
            _check_decay(name, getattr(self, name))
        if not isinstance(self.betas, tuple | list) or len(self.betas) != 2:
            raise ParameterError("betas", "two numbers", self.betas)
        for beta in self.betas:
            _check_decay("betas", beta)
        object.__setattr__(self, "betas", tuple(self.betas))  # a file and the command line give a list
        for name, choices in (
            ("optimizer", OPTIMIZERS),
            ("schedule", SCHEDULES),
            ("clipping", CLIPPINGS),
            ("precision", PRECISIONS),
        ):
            if getattr(self, name) not in choices:
                raise ParameterError(name, f"one of {', '.join(choices)}", getattr(self, name))
        if not isinstance(self.compile, bool):
            raise ParameterError("compile", "True or False", self.compile)
        self._check_together()

    def _check_together(self) -> None:
        """Refuse what another setting makes useless, so that nothing asked for is ignored."""
        if self.momentum and self.optimizer not in _WITH_MOMENTUM:
            raise ParameterError(
                "momentum",
                f"0 with {self.optimizer}",
                self.momentum,
                f"{' and '.join(_WITH_MOMENTUM)} have a momentum.",
            )
        if self.betas != _BETAS and self.optimizer not in _WITH_BETAS:
            raise ParameterError(
                "betas",
                f"the default with {self.optimizer}, which has none",
                self.betas,
                f"{', '.join(_WITH_BETAS)} have betas.",
            )
        if self.warmup_steps and self.schedule == "OneCycleLR":
            raise ParameterError(
                "warmup_steps",
                "0 with OneCycleLR, which warms up itself",
                self.warmup_steps,
                "Or choose another schedule.",
            )
        if self.warmup_steps and self.schedule == "ReduceLROnPlateau":
            raise ParameterError(
                "warmup_steps",
                "0 with ReduceLROnPlateau, which moves at validations only",
                self.warmup_steps,
                "Or choose another schedule.",
            )
        if self.warmup_steps >= self.max_steps:
            raise ParameterError("warmup_steps", f"less than max_steps = {self.max_steps}", self.warmup_steps)
        if self.triggered_averaging and self.averaging:
            raise ParameterError(
                "triggered_averaging",
                f"0 with averaging = {self.averaging}",
                self.triggered_averaging,
                "Set averaging to 0.",
            )


def _check_number(name: str, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ParameterError(name, "a number not below 0", value)


def _check_decay(name: str, value: float) -> None:
    check_probability(name, value)
    if value == 1:
        raise ParameterError(name, "a number less than 1", value)


_ARGUMENTS = (TrainingSettings.__doc__ or "").partition("Args:")[2].partition("\n\n    Raises:")[0]
