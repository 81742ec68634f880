"""Penalties on what a recurrent layer puts out, caught while a module runs."""

import inspect
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence
from torch.utils.hooks import RemovableHandle

from recurra.errors import ParameterError
from recurra.layers import Recurrent

__all__ = ["ActivationPenalties"]


class ActivationPenalties:
    """Activation and temporal activation regularisation, AR and TAR (Merity et al. 2017, section 4.6).

    activation * mean(h_t^2) + temporal * mean((h_t - h_{t-1})^2), of the output h (B, T, D * H) of the last recurrent
    layer called, before any dropout that follows it. The means are over units and true steps: steps beyond `lengths`
    or the end of a packed sequence, and changes across a reset, do not count. As in the authors' code these are means
    of squares, where the paper writes norms.

    In use::

        with penalties:
            output, state = module(inputs)
        loss = criterion(output, target) + penalties.total()

    Args:
        module: holds a `recurra.layers.Recurrent` or a torch.nn.RNN, LSTM or GRU.
        activation: weight of the squared outputs.
        temporal: weight of their squared changes.
    """

    def __init__(self, module: nn.Module, activation: float, temporal: float) -> None:
        self._layers = [part for part in module.modules() if isinstance(part, Recurrent | nn.RNNBase)]
        self._activation = activation
        self._temporal = temporal
        self._hooks: list[RemovableHandle] = []
        self._caught: tuple[nn.Module, tuple[Any, ...], dict[str, Any], Any] | None = None

    def __enter__(self) -> "ActivationPenalties":
        self._caught = None
        self._hooks = [layer.register_forward_hook(self._catch, with_kwargs=True) for layer in self._layers]
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()

    def total(self) -> Tensor:
        """The penalty of what ran within the context, 0-dim; once for each time, as it then lets go of the output.

        Raises:
            ParameterError: if no recurrent layer ran.
        """
        if self._caught is None:
            raise ParameterError(
                "activation_penalty",
                "a module that calls a recurra.Recurrent or a torch.nn.RNN, LSTM or GRU",
                "no call of one",
                "Set activation_penalty and temporal_activation_penalty to 0, or put the recurrence into such a layer.",
            )
        output, steps, changes = _by_sequence(*self._caught)
        self._caught = None
        output = output.to(torch.promote_types(output.dtype, torch.float32))
        total = output.new_zeros(())
        if self._activation:
            total = total + self._activation * _mean(output.square(), steps)
        if self._temporal:
            total = total + self._temporal * _mean((output[:, 1:] - output[:, :-1]).square(), changes)
        return total

    def _catch(self, layer: nn.Module, inputs: tuple[Any, ...], options: dict[str, Any], result: Any) -> None:
        self._caught = (layer, inputs, options, result[0])


def _by_sequence(
    layer: nn.Module, inputs: tuple[Any, ...], options: dict[str, Any], output: Any
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """The output (B, T, D * H); which steps count (B, T) and which changes (B, T - 1), None for all."""
    arguments = inspect.signature(layer.forward).bind(*inputs, **options).arguments
    lengths, resets = arguments.get("lengths"), arguments.get("resets")
    if isinstance(output, PackedSequence):
        output, lengths = pad_packed_sequence(output, batch_first=True)
    elif output.dim() == 2:
        output, resets = output.unsqueeze(0), None if resets is None else resets.unsqueeze(0)
    elif not layer.batch_first:
        output, resets = output.transpose(0, 1), None if resets is None else resets.transpose(0, 1)
    steps = changes = None
    if lengths is not None:
        ends = torch.as_tensor(lengths, device=output.device).unsqueeze(1)
        steps = torch.arange(output.shape[1], device=output.device) < ends
        changes = steps[:, 1:]
        output = output.masked_fill(~steps.unsqueeze(2), 0)
    if resets is not None:
        within = ~resets[:, 1:].to(output.device)
        changes = within if changes is None else changes & within
    return output, steps, changes


def _mean(squares: Tensor, counted: Tensor | None) -> Tensor:
    """The mean over the counted steps (B, T) of squares (B, T, F); 0 if none is counted."""
    if counted is None:
        return squares.sum() / max(squares.numel(), 1)
    masked = squares.masked_fill(~counted.unsqueeze(2), 0)
    return masked.sum() / (counted.sum() * squares.shape[2]).clamp(min=1)
