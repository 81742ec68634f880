"""Optimisers and learning-rate schedules by torch's names."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer, lr_scheduler

from recurra.errors import ParameterError
from recurra.training.settings import OPTIMIZERS, SCHEDULES

__all__ = ["make_optimizer", "make_schedule", "restore_optimizer", "split_optimizer"]


def make_optimizer(
    name: str, parameters: Iterable[nn.Parameter], learning_rate: float, weight_decay: float = 0.0
) -> Optimizer:
    """The optimiser of `torch.optim` of that name.

    Raises:
        ParameterError: for a name not in `OPTIMIZERS`.
    """
    if name not in OPTIMIZERS:
        raise ParameterError("optimizer", f"one of {', '.join(OPTIMIZERS)}", name)
    return getattr(torch.optim, name)(parameters, lr=learning_rate, weight_decay=weight_decay)


def make_schedule(name: str, optimizer: Optimizer, learning_rate: float, max_steps: int) -> Any:
    """The schedule of `torch.optim.lr_scheduler` of that name, over `max_steps` steps; None for "constant".

    "OneCycleLR" rises over the first tenth of the steps, one at least, and falls to nearly zero along a cosine;
    "ReduceLROnPlateau" is stepped at each validation, the others at each step.

    Raises:
        ParameterError: for a name not in `SCHEDULES`.
    """
    match name:
        case "constant":
            return None
        case "OneCycleLR":
            total = max_steps + 1
            rise = max(0.1, 2 / total)
            return lr_scheduler.OneCycleLR(
                optimizer, learning_rate, total_steps=total, pct_start=rise, cycle_momentum=False
            )
        case "CosineAnnealingLR":
            return lr_scheduler.CosineAnnealingLR(optimizer, T_max=max_steps)
        case "LinearLR":
            return lr_scheduler.LinearLR(optimizer, start_factor=1.0, end_factor=0.01, total_iters=max_steps)
        case "ReduceLROnPlateau":
            return lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=2)
    raise ParameterError("schedule", f"one of {', '.join(SCHEDULES)}", name)


def split_optimizer(optimizer: Optimizer) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """An optimiser's state as tensors by name and values for JSON."""
    state = optimizer.state_dict()
    tensors: dict[str, torch.Tensor] = {}
    plain: dict[str, Any] = {}
    for index, entries in state["state"].items():
        for key, value in entries.items():
            (tensors if isinstance(value, torch.Tensor) else plain)[f"{index}.{key}"] = value
    return tensors, {"plain": plain, "groups": state["param_groups"]}


def restore_optimizer(optimizer: Optimizer, tensors: dict[str, torch.Tensor], values: dict[str, Any]) -> None:
    """Load what `split_optimizer` gave."""
    state: dict[int, dict[str, Any]] = {}
    for name, value in {**tensors, **values["plain"]}.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": values["groups"]})
    # torch casts what it loads to the parameter's type, which is not always the state's: NAdam's running product.
    held = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for index, entries in state.items():
        for key, value in entries.items():
            if isinstance(value, torch.Tensor):
                loaded = optimizer.state[held[index]]
                loaded[key] = value.to(loaded[key].device)
