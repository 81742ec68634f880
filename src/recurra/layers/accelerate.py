"""Turn the torch.nn recurrent modules of a model into Recurra's, and back."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from recurra.errors import ParameterError
from recurra.layers.accelerated import ACCELERATED, Accelerated, additions
from recurra.layers.parameters import check_backend

__all__ = ["Acceleration", "ModuleReport", "accelerate", "restore"]


@dataclass(frozen=True)
class ModuleReport:
    """What became of one recurrent module.

    Attributes:
        name: its qualified name in the model, the first if it has several; "" for the model itself.
        before: its description before, "torch.nn.LSTM(64, 128)".
        after: its class now, "recurra.LSTM"; "" if it was left alone.
        reason: why it was left alone; "" if it was replaced.
    """

    name: str
    before: str
    after: str = ""
    reason: str = ""

    def __str__(self) -> str:
        what = f"-> {self.after}" if self.after else f"left alone: {self.reason}"
        return f"{self.name or '(the model itself)'}: {self.before} {what}"


@dataclass(frozen=True, repr=False)
class Acceleration:
    """What `accelerate` did. Printed, it has one line for each module.

    Attributes:
        modules: the recurrent modules found, in the order of `model.named_modules()`.
    """

    modules: tuple[ModuleReport, ...]

    @property
    def replaced(self) -> tuple[str, ...]:
        """Names of the modules that were replaced."""
        return tuple(module.name for module in self.modules if module.after)

    @property
    def left_alone(self) -> tuple[str, ...]:
        """Names of the modules that were left alone."""
        return tuple(module.name for module in self.modules if not module.after)

    def __repr__(self) -> str:
        return "\n".join(map(str, self.modules)) or "no recurrent module of torch.nn found"


def accelerate(model: nn.Module, *, backend: str = "auto") -> Acceleration:
    """Run every torch.nn.RNN, LSTM, GRU, RNNCell, LSTMCell and GRUCell of a model on Recurra's kernels, in place.

    Each module stays the same object; its class becomes one that is both torch's and Recurra's. Both
    `isinstance(module, torch.nn.LSTM)` and `isinstance(module, recurra.LSTM)` then hold, and calls of layers take
    `lengths` and `resets`. Parameters, hooks, training mode, options and attributes are untouched; so are
    optimizers made before, `state_dict` and other references to the module. The model itself may be a torch.nn.LSTM. It
    can be copied, pickled and moved to another device or dtype while accelerated.

    Outputs and gradients are torch's up to rounding. Dropout between layers samples the same random numbers, except
    with packed input. Wrong shapes raise `ShapeError`, which is a ValueError and a RuntimeError. If only torch's kernel
    serves (on a GPU, in bfloat16), torch's own forward runs.

    torch.compile runs them on Recurra's kernels between its graphs, as it runs torch's; exported and traced graphs are
    those of torch's modules. `restore` first to script, to quantize, to trace with torch.fx, and before Opacus or
    another library replaces modules by their class.

    Left alone, and reported with the reason, are modules that may compute something else: subclasses, parametrized
    modules (accelerate first, parametrize then), scripted and quantized ones, and those with a forward set on the
    instance.

    Args:
        model: any module; changed in place.
        backend: "auto" (the fastest kernel that serves) or the name of one; see `recurra.LSTM`. Modules that are
            accelerated already get it too.

    Returns:
        What was replaced, and what was left alone and why. Print it.

    Raises:
        ParameterError: if `model` is not a module, or for an unknown backend.
    """
    _check_model(model)
    check_backend(backend)
    reports = []
    for name, module in model.named_modules():
        if not _is_recurrent(module):
            continue
        before, reason = _shown(module), _reason_to_leave(module)
        if reason:
            reports.append(ModuleReport(name, before, reason=reason))
        else:
            theirs = type(module)
            vars(module).update(additions(module, backend))
            module.__class__ = ACCELERATED[theirs]
            reports.append(ModuleReport(name, before, after=f"recurra.{theirs.__name__}"))
        if isinstance(module, Accelerated):
            module.backend = backend
    return Acceleration(tuple(reports))


def restore(model: nn.Module) -> tuple[str, ...]:
    """Undo `accelerate`: the modules are torch.nn's again, with the weights and training mode they have now.

    Args:
        model: the model that was accelerated, or a copy or a part of it; changed in place.

    Returns:
        The names of the modules restored.

    Raises:
        ParameterError: if `model` is not a module, or if a module's class was changed again after `accelerate`, such as
            by a parametrization; nothing is restored then.
    """
    _check_model(model)
    accelerated: dict[str, Any] = {
        name: module for name, module in model.named_modules() if isinstance(module, Accelerated)
    }
    originals = {ours: theirs for theirs, ours in ACCELERATED.items()}
    for name, module in accelerated.items():
        if type(module) not in originals:
            hint = f"Undo first what made {name!r} a {type(module).__name__}, such as a parametrization."
            raise ParameterError("model", "modules as accelerate left them", type(module), hint)
    for module in accelerated.values():
        for attribute in additions(module, "auto"):
            vars(module).pop(attribute, None)
        module.__class__ = originals[type(module)]
    return tuple(accelerated)


def _check_model(model: object) -> None:
    if not isinstance(model, nn.Module):
        raise ParameterError("model", "a torch.nn.Module", model)


def _is_recurrent(module: nn.Module) -> bool:
    """Whether it is one of the six classes, or a related one that a user may expect to be replaced."""
    names = {kind.__name__ for kind in ACCELERATED}
    if isinstance(module, torch.jit.ScriptModule):
        return getattr(module, "original_name", "") in names
    return isinstance(module, nn.RNNBase | nn.RNNCellBase) or (_is_quantized(module) and type(module).__name__ in names)


def _is_quantized(module: nn.Module) -> bool:
    return type(module).__module__.startswith("torch.ao.nn.")


def _reason_to_leave(module: nn.Module) -> str:
    """Why a recurrent module is left alone, or "" if it is to be replaced."""
    kind = type(module)
    if isinstance(module, Accelerated):
        return "accelerated already"
    if isinstance(module, torch.jit.ScriptModule):
        return "compiled by torch.jit"
    if _is_quantized(module):
        return "quantized"
    if is_parametrized(module):
        return "parametrized; accelerate first, parametrize then"
    if kind not in ACCELERATED:
        return "a subclass may compute something else"
    if "forward" in vars(module):
        return "a forward of its own was set on it"
    taken = additions(module, "auto").keys() & vars(module).keys()
    if taken:
        return f"it has an attribute of its own named {min(taken)!r}"
    return ""


def _shown(module: nn.Module) -> str:
    kind = type(module)
    if isinstance(module, torch.jit.ScriptModule):
        return f"scripted {module.original_name}"
    if kind in ACCELERATED:
        return f"torch.nn.{kind.__name__}({module.extra_repr()})"
    return f"{kind.__module__}.{kind.__qualname__}"
