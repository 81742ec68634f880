"""The states of a model's recurrent layers, given to them and caught from them while the model runs."""

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

__all__ = ["LayerState", "Run", "run_exactly", "run_with_states"]

#: From a model and its inputs by name to its outputs by name.
Run: TypeAlias = Callable[[Any, Mapping[str, Tensor]], dict[str, Tensor]]


@dataclass(frozen=True)
class LayerState:
    """The state of one recurrent layer among the inputs and outputs of what is exported.

    Attributes:
        layer: the name of the module in the model, "" for the model itself.
        inputs: by part of the state.
        outputs: by part.
    """

    layer: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def run_with_states(
    model: nn.Module,
    run: Run,
    states: Iterable[LayerState],
    tensors: Mapping[str, Tensor],
    within_lengths: Iterable[str] = (),
) -> dict[str, Tensor]:
    """The outputs of a model whose layers begin at initial states, and their final states.

    Args:
        model: whose layers are named in `states`.
        run: runs it.
        states: of the layers.
        tensors: the inputs by name, initial states and maybe "lengths" among them.
        within_lengths: the layers that run within the lengths, though the model gives them none.

    Returns:
        What `run` returns, and the final states by name.
    """
    of_layer = {state.layer: state for state in states}
    lengths = tensors.get("lengths")
    bounded = set() if lengths is None else set(within_lengths)
    modules: dict[str, nn.Module] = dict(model.named_modules())
    finals: dict[str, Tensor] = {}
    handles = []
    for name in {*of_layer, *bounded}:
        hooks = _Hooks(of_layer.get(name), tensors, lengths if name in bounded else None, finals)
        handles.append(modules[name].register_forward_pre_hook(hooks.enter, with_kwargs=True))
        handles.append(modules[name].register_forward_hook(hooks.leave))
    try:
        with torch.no_grad():
            outputs = run(model, tensors)
    finally:
        for handle in handles:
            handle.remove()
    return outputs | finals


def run_exactly(
    model: nn.Module,
    run: Run,
    states: Iterable[LayerState],
    tensors: Mapping[str, Tensor],
    within_lengths: Iterable[str] = (),
) -> dict[str, Tensor]:
    """`run_with_states`, in float64."""
    exact = {name: tensor.double() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    return run_with_states(copy.deepcopy(model).double(), run, states, exact, within_lengths)


class _Hooks:
    """Gives a layer its initial state and lengths if the model gives it none, and catches its final state."""

    def __init__(
        self, state: LayerState | None, tensors: Mapping[str, Tensor], lengths: Tensor | None, finals: dict[str, Tensor]
    ) -> None:
        self._state = state
        self._tensors = tensors
        self._lengths = lengths
        self._finals = finals
        self._takes_state = False

    def enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        named: dict[str, Any] = {**dict(zip(("hx", "lengths"), args[1:], strict=False)), **kwargs}
        self._takes_state = self._state is not None and named.get("hx") is None
        if self._state is not None and self._takes_state:
            parts = [self._tensors[part] for part in self._state.inputs]
            named["hx"] = tuple(parts) if len(parts) > 1 else parts[0]
        if self._lengths is not None:
            named["lengths"] = self._lengths
        return args[:1], named

    def leave(self, module: nn.Module, args: tuple[Any, ...], result: Any) -> None:
        if self._state is not None and self._takes_state:
            final = result[1] if hasattr(module, "num_layers") else result
            self._finals.update(zip(self._state.outputs, final if isinstance(final, tuple) else (final,), strict=True))
