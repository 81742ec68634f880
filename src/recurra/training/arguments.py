"""Checks of what a trainer is made of: each of the usual mistakes is one line that mends it."""

import inspect
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from recurra.errors import ParameterError
from recurra.training.settings import TrainingSettings
from recurra.training.truncation import Truncation

__all__ = ["check_arguments", "check_loss"]


def check_arguments(
    module: nn.Module,
    loss: Callable[[Any, Any], Tensor],
    batches: Callable[[int], Any],
    settings: TrainingSettings,
    validate: Callable[[nn.Module], Any] | None,
    truncation: Truncation | None,
) -> None:
    """Refuse arguments of the wrong kind; see `Trainer`.

    Raises:
        ParameterError: naming the argument.
    """
    if not isinstance(module, nn.Module):
        raise ParameterError("module", "a torch.nn.Module", type(module).__name__)
    if not callable(loss):
        hint = "As in: loss=torch.nn.functional.mse_loss."
        raise ParameterError("loss", "a function of the module's output and the target", loss, hint)
    expected = "a function from the index of a batch, from 1, to a recurra.training.Batch"
    if not callable(batches):
        hint = "Of a DataLoader: pairs = list(loader), then batches=lambda n: Batch(*pairs[(n - 1) % len(pairs)])."
        raise ParameterError("batches", expected, type(batches).__name__, hint)
    if not _takes(batches, 1):
        raise ParameterError("batches", expected, "one that takes no index", "As in: batches=lambda index: ...")
    if not isinstance(settings, TrainingSettings):
        hint = "As in: TrainingSettings(max_steps=1000, learning_rate=1e-3); of a dict, TrainingSettings(**settings)."
        raise ParameterError("settings", "a recurra.training.TrainingSettings", type(settings).__name__, hint)
    if validate is not None and not callable(validate):
        hint = "Of a DataLoader: lambda module: evaluate(module, loss, (Batch(*pair) for pair in loader))."
        raise ParameterError("validate", "a function from the module to its loss", type(validate).__name__, hint)
    if truncation is not None and not _takes(module.forward, 2):
        hint = "Let forward take the inputs and the state, which is None at first; or leave truncation out."
        raise ParameterError("truncation", "None with a module that takes no state", truncation, hint)


def check_loss(loss: Any) -> None:
    """Refuse what a loss returns if it is not a tensor of a single number. Raises ParameterError."""
    hint = "Return the mean, as in: loss=lambda output, target: error(output, target).mean()."
    if not isinstance(loss, Tensor):
        raise ParameterError("loss", "a function that returns a tensor", type(loss).__name__, hint)
    if loss.numel() != 1:
        raise ParameterError("loss", "a function that returns one number", f"the shape {tuple(loss.shape)}", hint)


def _takes(function: Callable[..., Any], count: int) -> bool:
    """Whether a function takes so many positional arguments, as far as its signature says."""
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        return False
    except ValueError:  # no signature
        return True
    return True
