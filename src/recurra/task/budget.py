"""How many steps to train: what was asked for, or what the data ask for."""

import logging
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from recurra.errors import ParameterError
from recurra.training.settings import TrainingSettings

if TYPE_CHECKING:
    from recurra.task.estimator import Estimator
    from recurra.task.objective import Objective

__all__ = ["BUDGET", "Budget", "check_budget", "describe_steps", "steps_of", "training_settings", "with_budget"]

_log = logging.getLogger("recurra.task")

BUDGET = ("max_steps", "epochs", "quick", "thorough")
"""The options that say how long to train, of which at most one is set."""

_QUICK, _THOROUGH = 0.25, 4.0


class Budget(Protocol):
    """The options that say how long to train; see `Estimator`."""

    max_steps: int
    epochs: float
    quick: bool
    thorough: bool


def check_budget(budget: Budget) -> None:
    """Refuse two answers to the same question. Raises ParameterError."""
    first, *others = [name for name in BUDGET if getattr(budget, name)] or [""]
    for name in others:
        unset = type(getattr(budget, name))()
        raise ParameterError(name, f"{unset} with {first} = {getattr(budget, first)}", getattr(budget, name))


def with_budget(options: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a run with changes, one of which may answer the question of the budget anew."""
    unchanged = {
        name: value for name, value in options.items() if name not in BUDGET or not changes.keys() & set(BUDGET)
    }
    return {**unchanged, **changes}


def steps_of(budget: Budget, standard: int, steps_per_epoch: int) -> int:
    """The optimiser steps of a training, at least 1.

    Args:
        budget: the options.
        standard: the steps that the data ask for.
        steps_per_epoch: in which the training data are read once; 0: a task samples them without end.

    Raises:
        ParameterError: epochs are asked for, and there are none.
    """
    if budget.max_steps:
        return budget.max_steps
    if budget.epochs:
        if not steps_per_epoch:
            raise ParameterError("epochs", "0, because this task samples its data without end", budget.epochs)
        return max(1, math.ceil(budget.epochs * steps_per_epoch))
    factor = _QUICK if budget.quick else _THOROUGH if budget.thorough else 1
    return max(1, round(standard * factor))


def describe_steps(steps: int, steps_per_epoch: int) -> str:
    """One line, such as "1,032 steps: 12.0 epochs of 86 steps"."""
    if not steps_per_epoch:
        return f"{steps:,} steps"
    noun = "step" if steps_per_epoch == 1 else "steps"
    return f"{steps:,} steps: {steps / steps_per_epoch:,.1f} epochs of {steps_per_epoch:,} {noun}"


def training_settings(estimator: "Estimator[Any, Any, Any]", objective: "Objective") -> TrainingSettings:
    """The settings of a training: the options of an estimator, with the steps that they or the data ask for.

    A training in closed form is one step, after which there is nothing to average.
    """
    values: dict[str, Any] = {name: getattr(estimator, name) for name in TrainingSettings.settings()}
    if objective.solve is not None:
        return TrainingSettings(**{**values, "max_steps": 1, "averaging": 0.0})
    steps_per_epoch = objective.steps_per_epoch
    steps = steps_of(estimator, estimator.standard_steps(steps_per_epoch), steps_per_epoch)
    if not estimator.max_steps:
        _log.info("%s", describe_steps(steps, steps_per_epoch))
    return TrainingSettings(**{**values, "max_steps": steps})
