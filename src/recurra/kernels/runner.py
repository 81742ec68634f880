"""One layer, in one direction or in both, call after call: what does not change is checked and prepared once."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from recurra.cells import Cell
from recurra.kernels import dispatch, torch_state
from recurra.kernels.choose import choose
from recurra.kernels.describe import describe, is_large
from recurra.kernels.native.arguments import Arguments, arguments
from recurra.kernels.native.launches import directions_run_together
from recurra.kernels.native.prepared import Prepared, prepare
from recurra.kernels.native.sequence import run_prepared
from recurra.kernels.native.single_step import SingleStep, single_step
from recurra.kernels.weights import Masks, Weights

__all__ = ["Runner", "run_directions"]


class _Cached(NamedTuple):
    """The prepared layer of a key, and its single step; None if the engine does not serve, or has no such step."""

    key: tuple[Any, ...]
    prepared: Prepared | None
    single: SingleStep | None


class Runner:
    """Runs a layer in one direction as `run` does, and caches its preparations.

    A step of a stream takes the engine a few microseconds. To choose a kernel, check the weights and tell the engine
    where they lie takes Python ten times as long, so it is done again only if one of them has changed its
    address, shape or type.
    """

    def __init__(self) -> None:
        self._cached: _Cached | None = None

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
        again = recompute and torch.is_grad_enabled()
        if masks is None and not again and _is_plain(inputs, state, weights, lengths) and _is_full(lengths, inputs):
            _, prepared, single = self._prepared(backend, cell, inputs, weights, reverse)
            if prepared is not None and _fits(prepared, inputs, state):
                # Made contiguous here, where autograd sees it.
                inputs, initial = inputs.contiguous(), tuple([part.contiguous() for part in state])
                if single is not None and single.serves(inputs):
                    return single.run(inputs, initial, weights)
                return run_prepared([prepared], [Arguments(inputs, weights, None, (), initial)])[0]
        return dispatch.run(backend, cell, inputs, state, weights, lengths, reverse, masks, recompute)

    def _prepared(self, backend: str, cell: Cell, inputs: Tensor, weights: Weights, reverse: bool) -> _Cached:
        # The key tells which weights there are: one bias may become the other. Per-unit parameters are stacked
        # anew; a cell with products is never prepared.
        layouts = [w if w is None else (w.data_ptr(), w.shape, w.dtype, w.is_contiguous()) for w in weights[:-2]]
        per_unit = None if weights.per_unit is None else (weights.per_unit.shape, weights.per_unit.dtype)
        key = backend, cell, reverse, inputs.shape[2], inputs.dtype, layouts, per_unit
        cached = self._cached
        if cached is None or cached.key != key:
            prepared = _prepare(backend, cell, inputs, weights, reverse)
            single = None if prepared is None else single_step(prepared, weights)
            cached = self._cached = _Cached(key, prepared, single)
        return cached


def run_directions(
    runners: Sequence[Runner],
    backend: str,
    cell: Cell,
    inputs: Sequence[Tensor],
    states: Sequence[tuple[Tensor, ...]],
    weights: Sequence[Weights],
    lengths: Tensor | None = None,
    masks: Sequence[Masks | None] = (None, None),
    recompute: bool = False,
) -> list[tuple[Tensor, tuple[Tensor, ...]]]:
    """Run a layer forward, and backward if there are two runners; at the same time where that takes less.

    Args:
        runners: of each direction.
        backend: see `recurra.kernels.run`, also for what follows.
        cell: the equations.
        inputs: of each direction.
        states: likewise.
        weights: likewise.
        lengths: of both.
        masks: of each direction.
        recompute: see `recurra.kernels.run`.

    Returns:
        The results of each direction.
    """
    each = list(zip(runners, inputs, states, weights, strict=True))
    whole = masks[0] is None and not (recompute and torch.is_grad_enabled())
    if len(each) == 2 and whole and directions_run_together(inputs[0], weights[0]):
        together = _together(each, backend, cell, lengths)
        if together is not None:
            return together
    return [
        runner(backend, cell, x, state, of_one, lengths, reverse, mask, recompute)
        for (runner, x, state, of_one), reverse, mask in zip(each, (False, True), masks, strict=False)
    ]


def _together(
    each: list[tuple[Runner, Tensor, tuple[Tensor, ...], Weights]], backend: str, cell: Cell, lengths: Tensor | None
) -> list[tuple[Tensor, tuple[Tensor, ...]]] | None:
    """The results of both directions, run at the same time; None if they are better run one after the other."""
    directions, checked = [], []
    for (runner, x, state, weights), reverse in zip(each, (False, True), strict=True):
        if not _is_plain(x, state, weights, lengths):
            return None
        prepared = runner._prepared(backend, cell, x, weights, reverse).prepared
        if prepared is None or not _fits(prepared, x, state):
            return None
        initial = tuple([part.contiguous() for part in state])
        directions.append(prepared)
        checked.append(Arguments(x.contiguous(), weights, None, (), initial))
    # A copy: the caller may change them before the backward pass.
    ragged = None if lengths is None or _is_full(lengths, each[0][1]) else lengths.clone()
    return run_prepared(directions, checked, ragged)


def _tensors(weights: Weights) -> list[Tensor]:
    return [tensor for tensor in weights if tensor is not None]


def _is_plain(inputs: Tensor, state: tuple[Tensor, ...], weights: Weights, lengths: Tensor | None) -> bool:
    """Whether there are steps to run, outside of tracing and of transforms."""
    tensors = _tensors(weights) if lengths is None else [lengths, *_tensors(weights)]
    watched = (
        torch_state.operators_are_needed(inputs, *state, *tensors)
        or torch_state.traced()
        or torch_state.forward_mode()
        or torch_state.autocasts()
        or dispatch.is_intercepted()
    )
    return not watched and inputs.numel() > 0


def _is_full(lengths: Tensor | None, inputs: Tensor) -> bool:
    """Whether every step of (T, B, I) is valid, so that lengths (B,) say nothing."""
    return lengths is None or bool(lengths.min() >= inputs.shape[0])


def _prepare(backend: str, cell: Cell, inputs: Tensor, weights: Weights, reverse: bool) -> Prepared | None:
    """The prepared call. None: `dispatch.run` is to be called, which also raises the errors."""
    if inputs.device.type != "cpu":
        return None
    plain = all(w.is_contiguous() and w.dtype == inputs.dtype and w.is_cpu for w in _tensors(weights))
    if not plain:
        return None
    projected = weights.weight_hr is not None
    request = describe(backend, cell, inputs, projected=projected, units_read=weights.units_read)
    if choose(backend, request).backend != "native":
        return None
    hidden = weights.weight_ih.shape[0] // len(cell.gates)
    size = hidden if weights.weight_hr is None else weights.weight_hr.shape[0]
    state = tuple(inputs.new_empty(1, hidden if k else size) for k in range(len(cell.state)))
    checked = arguments(cell, inputs[:1, :1], state, weights, None)
    return prepare(cell, checked.weights, checked.state, reverse)


def _fits(prepared: Prepared, inputs: Tensor, state: tuple[Tensor, ...]) -> bool:
    """Whether the state is as the engine takes it, and the call no larger than those that are better off elsewhere."""
    if not inputs.is_cpu or (is_large(state[0]) and not torch.is_grad_enabled()):
        return False
    batch = inputs.shape[1]
    for part, size in zip(state, prepared.sizes, strict=True):
        if part.shape != (batch, size) or part.dtype != inputs.dtype or not part.is_cpu:
            return False
    return True
