"""Optimisers and learning-rate schedules by torch's names, and their state as tensors and JSON."""

import inspect
import math
import warnings
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer, lr_scheduler

from recurra.errors import ParameterError
from recurra.layers import Recurrent, RecurrentCell
from recurra.training.settings import TrainingSettings

__all__ = [
    "make_optimizer",
    "make_schedule",
    "restore_optimizer",
    "restore_schedule",
    "schedule_values",
    "split_optimizer",
]

_LAST_FACTOR = 0.01


def make_optimizer(settings: TrainingSettings, module: nn.Module) -> Optimizer:
    """The optimiser of `torch.optim` of that name, over the parameters that require a gradient.

    Weight decay is for what multiplies vectors. Biases, scales of normalisation and per-unit parameters (recurrent
    weights of a diagonal recurrence among them) are in a second group of parameters without it; a group without
    parameters is left out.

    A module with an attribute `learning_rate_factor` has groups of its own, whose learning rate is so many times the
    others': weights that were trained before take smaller steps (discriminative fine-tuning, Howard and Ruder 2018).

    Raises:
        ParameterError: for a module without parameters to train.
    """
    spared, factors = _spared_parameters(module), _learning_rate_factors(module)
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for parameter in module.parameters():
        if parameter.requires_grad:
            groups.setdefault((factors.get(parameter, 1.0), parameter in spared), []).append(parameter)
    # The first group is one whose rate is that of the settings, if there is such a group.
    param_groups = [
        {
            "params": groups[factor, without],
            "weight_decay": 0.0 if without else settings.weight_decay,
            "lr": factor * settings.learning_rate,
        }
        for factor, without in sorted(groups, key=lambda key: (key[0] != 1, key))
    ]
    if not param_groups:
        raise ParameterError("module", "parameters that require a gradient", type(module).__name__)
    kind = getattr(torch.optim, settings.optimizer)
    taken = inspect.signature(kind).parameters
    options = {name: getattr(settings, name) for name in ("betas", "momentum") if name in taken}
    return kind(param_groups, lr=settings.learning_rate, **options)


def make_schedule(settings: TrainingSettings, optimizer: Optimizer) -> Any:
    """The schedule of `torch.optim.lr_scheduler` of that name over `max_steps` steps; None for a constant rate.

    "OneCycleLR" rises over the first tenth of the steps, one at least, and falls to nearly zero along a cosine;
    "CosineAnnealingLR" falls to zero; "LinearLR" to a hundredth; "ReduceLROnPlateau" halves the rate after three
    validations without a better loss. It is stepped at each validation, the others at each step.

    With `warmup_steps` = W the rate is k / (W + 1) of the full one at step k = 1 ... W; the schedule then runs over
    the steps that are left.
    """
    steps = settings.max_steps
    if settings.warmup_steps:
        return lr_scheduler.LambdaLR(optimizer, _warmed_up(settings))
    match settings.schedule:
        case "OneCycleLR":
            total = steps + 1
            rise = max(0.1, 2 / total)
            rates = [group["lr"] for group in optimizer.param_groups]
            return lr_scheduler.OneCycleLR(optimizer, rates, total_steps=total, pct_start=rise, cycle_momentum=False)
        case "CosineAnnealingLR":
            return lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
        case "LinearLR":
            return lr_scheduler.LinearLR(optimizer, start_factor=1.0, end_factor=_LAST_FACTOR, total_iters=steps)
        case "ReduceLROnPlateau":
            return lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=2, threshold=0.0)
    return None


def schedule_values(schedule: Any) -> dict[str, Any] | None:
    """A schedule's state as JSON: what torch has beyond numbers, text and lists is rebuilt from the settings."""
    if schedule is None:
        return None
    plain = (int, float, str, bool, type(None), list)
    return {name: value for name, value in schedule.state_dict().items() if isinstance(value, plain)}


def restore_schedule(schedule: Any, values: dict[str, Any] | None, replanned: bool = False) -> None:
    """Load what `schedule_values` returned; after `restore_optimizer`, whose groups hold the learning rate.

    Args:
        schedule: a new one.
        values: those of the run so far.
        replanned: whether `max_steps` has changed. The rate is then that of the new schedule at this step.
    """
    if schedule is None or values is None:
        return
    if not replanned or isinstance(schedule, lr_scheduler.ReduceLROnPlateau):
        schedule.load_state_dict(dict(values))
        return
    for group in schedule.optimizer.param_groups:
        group["lr"] = group["initial_lr"]
    with warnings.catch_warnings():
        # The optimiser made its steps in an earlier process, of which torch does not know.
        warnings.filterwarnings("ignore", "Detected call of")
        for _ in range(values["last_epoch"]):
            schedule.step()


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
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for index, entries in state.items():
        for key, value in entries.items():
            if isinstance(value, torch.Tensor):
                loaded = optimizer.state[parameters[index]]
                loaded[key] = value.to(loaded[key].device)


def _spared_parameters(module: nn.Module) -> set[nn.Parameter]:
    """The parameters that weight decay leaves alone."""
    spared = {parameter for parameter in module.parameters() if parameter.ndim < 2}
    for part in module.modules():
        if isinstance(part, nn.LayerNorm | nn.RMSNorm):
            spared.update(part.parameters())
        elif isinstance(part, Recurrent | RecurrentCell) and part.cell.recurrence == "diagonal":
            # By part of the name: the weights may be of either direction, any layer, or parametrized.
            spared.update(parameter for name, parameter in part.named_parameters() if "weight_hh" in name)
    return spared


def _learning_rate_factors(module: nn.Module) -> dict[nn.Parameter, float]:
    """By parameter, of the modules that have a factor of their own."""
    factors: dict[nn.Parameter, float] = {}
    for part in module.modules():
        if (factor := getattr(part, "learning_rate_factor", None)) is not None:
            factors.update(dict.fromkeys(part.parameters(), float(factor)))
    return factors


def _warmed_up(settings: TrainingSettings) -> Any:
    """The fraction of the learning rate after a number of steps: a line up, then the schedule.

    A function of the step, where torch's SequentialLR warns of its own use of `step(epoch)` in some versions.
    """
    rise, fall = settings.warmup_steps, settings.max_steps - settings.warmup_steps

    def factor(done: int) -> float:
        if done < rise:
            return (done + 1) / (rise + 1)
        fraction = min((done - rise) / fall, 1.0)
        match settings.schedule:
            case "CosineAnnealingLR":
                return (1 + math.cos(math.pi * fraction)) / 2
            case "LinearLR":
                return 1 + (_LAST_FACTOR - 1) * fraction
        return 1.0

    return factor
