"""Run a sequence on the kernel that `choose` names."""

import logging

import torch
from torch import Tensor
from torch._C._functorch import maybe_current_level

from recurra.cells import Cell
from recurra.kernels import aten, extension, native, reference
from recurra.kernels.choose import Request, choose
from recurra.kernels.weights import Weights

__all__ = ["run"]

_log = logging.getLogger("recurra.kernels")
_KERNELS = {"reference": reference.run, "aten": aten.run, "native": native.run}
_said: set[str] = set()


def run(
    backend: str,
    cell: Cell,
    inputs: Tensor,
    state: tuple[Tensor, ...],
    weights: Weights,
    lengths: Tensor | None = None,
    reverse: bool = False,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run a cell over a sequence; arguments and results as in `recurra.kernels.reference.run`.

    Raises:
        ParameterError: for an unknown backend.
        BackendError: where the backend asked for by name cannot serve.
    """
    device, projected = inputs.device.type, weights.weight_hr is not None
    wanted = backend in ("auto", "native") and device == "cpu" and not projected
    uncompiled = _uncompiled(cell) if wanted else ""
    choice = choose(backend, Request(cell, device, str(inputs.dtype), projected, _transform(), uncompiled))
    if choice.reason and not torch.compiler.is_compiling():
        _say_once(f"running on the {choice.backend} kernel: {choice.reason}")
    return _KERNELS[choice.backend](cell, inputs, state, weights, lengths, reverse)


def _say_once(message: str) -> None:
    if message not in _said:
        _said.add(message)
        _log.warning(message)


def _uncompiled(cell: Cell) -> str:
    if torch.compiler.is_compiling():
        return "torch.compile traces torch's operations only"
    if torch.is_autocast_enabled("cpu"):
        return "autocast chooses the precision of torch's operations only"
    return extension.obstacle(cell)


def _transform() -> str | None:
    """The function transform under way. torch has no public question for it; these two hold since 2.0."""
    if torch.autograd.forward_ad._current_level >= 0:
        return "forward-mode derivatives"
    if maybe_current_level() is not None:
        return "function transforms (vmap, jvp)"
    return None
