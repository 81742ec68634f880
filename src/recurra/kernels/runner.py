"""One layer in one direction, call after call: what stays the same is checked and found once."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from recurra.cells import Cell
from recurra.kernels import dispatch, torch_state
from recurra.kernels.choose import choose
from recurra.kernels.describe import describe, is_large
from recurra.kernels.native import prepared as prepared_calls
from recurra.kernels.native.arguments import arguments
from recurra.kernels.native.prepared import Prepared
from recurra.kernels.weights import Masks, Weights

__all__ = ["Runner"]


class _Found(NamedTuple):
    """What was found for a key; no prepared call where the engine does not serve."""

    key: tuple[Any, ...]
    prepared: Prepared | None


class Runner:
    """Runs a layer in one direction as `run` does, and in inference remembers what it found.

    A step of a stream takes the engine a few microseconds. To choose a kernel, check the weights and tell the engine
    where they lie takes Python ten times as long, so it is done again only where one of them has changed its place,
    shape or type.
    """

    def __init__(self) -> None:
        self._found: _Found | None = None

    def __reduce__(self) -> tuple[type["Runner"], tuple[()]]:
        # Addresses are of this process and of these weights: neither copied nor saved.
        return Runner, ()

    def __call__(
        self,
        backend: str,
        cell: Cell,
        inputs: Tensor,
        state: tuple[Tensor, ...],
        weights: Weights,
        lengths: Tensor | None = None,
        reverse: bool = False,
        masks: Masks | None = None,
        recompute: bool = False,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run a sequence. For the arguments, results and errors, see `recurra.kernels.run`."""
        if lengths is None and masks is None and _is_plain(inputs, weights):
            prepared = self._prepared(backend, cell, inputs, weights, reverse)
            if prepared is not None and _fits(prepared, inputs, state):
                return prepared_calls.run_prepared(prepared, inputs, state, weights)
        return dispatch.run(backend, cell, inputs, state, weights, lengths, reverse, masks, recompute)

    def _prepared(self, backend: str, cell: Cell, inputs: Tensor, weights: Weights, reverse: bool) -> Prepared | None:
        # Also which of them there are: a bias may become the other. Per-unit parameters are put together at each call.
        places = [w if w is None else (w.data_ptr(), w.shape, w.dtype, w.is_contiguous()) for w in weights[:-1]]
        per_unit = None if weights.per_unit is None else (weights.per_unit.shape, weights.per_unit.dtype)
        key = backend, cell, reverse, inputs.shape[2], inputs.dtype, places, per_unit
        found = self._found
        if found is None or found.key != key:
            found = self._found = _Found(key, _prepare(backend, cell, inputs, weights, reverse))
        return found.prepared


def _tensors(weights: Weights) -> list[Tensor]:
    return [tensor for tensor in weights if tensor is not None]


def _is_plain(inputs: Tensor, weights: Weights) -> bool:
    """Whether it is inference over some steps, outside of tracing and of transforms."""
    watched = (
        torch.is_grad_enabled()
        or torch_state.are_needed(inputs, *_tensors(weights))
        or torch_state.recorded()
        or torch_state.forward_mode()
        or torch_state.autocasts()
        or dispatch.is_intercepted()
    )
    return not watched and inputs.numel() > 0


def _prepare(backend: str, cell: Cell, inputs: Tensor, weights: Weights, reverse: bool) -> Prepared | None:
    """The prepared call, or None: the general way is to be taken, which also has the errors."""
    if inputs.device.type != "cpu":
        return None
    plain = all(w.is_contiguous() and w.dtype == inputs.dtype and w.is_cpu for w in _tensors(weights))
    if not plain:
        return None
    request = describe(backend, cell, inputs, projected=weights.weight_hr is not None)
    if choose(backend, request).backend != "native":
        return None
    hidden = weights.weight_ih.shape[0] // len(cell.gates)
    size = hidden if weights.weight_hr is None else weights.weight_hr.shape[0]
    state = tuple(inputs.new_empty(1, hidden if k else size) for k in range(len(cell.state)))
    return prepared_calls.prepare(cell, arguments(cell, inputs[:1, :1], state, weights, None), reverse)


def _fits(prepared: Prepared, inputs: Tensor, state: tuple[Tensor, ...]) -> bool:
    """Whether the state is as the engine takes it, and the call no larger than those that are better off elsewhere."""
    if not inputs.is_cpu or is_large(state[0]):
        return False
    batch = inputs.shape[1]
    for part, size in zip(state, prepared.sizes, strict=True):
        if part.shape != (batch, size) or part.dtype != inputs.dtype or not part.is_cpu:
            return False
    return True
