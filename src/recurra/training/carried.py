"""The recurrent state carried from one batch to the next, whatever its type."""

import copy
import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from recurra.errors import ParameterError

__all__ = ["detach", "divide", "fill", "is_finite", "plain_of", "tensors_of"]

_PLAIN = (type(None), bool, int, float, str)


def detach(state: Any) -> Any:
    """A state without its graph: the same types, the same values, each tensor detached.

    Args:
        state: tensors in tuples, named tuples, lists, dicts, dataclasses or objects with attributes, nested as they
            may be.

    Raises:
        ParameterError: for a type in which tensors cannot be found.
    """
    return _change(state, Tensor.detach)


def tensors_of(state: Any) -> list[Tensor]:
    """The tensors of a state, in the order of its parts; raises as `detach`."""
    tensors: list[Tensor] = []
    _change(state, lambda tensor: (tensors.append(tensor), tensor)[1])
    return tensors


def plain_of(state: Any) -> list[Any]:
    """What else a state holds, numbers, text and None, in the order of its parts; raises as `detach`."""
    values: list[Any] = []
    _change(state, lambda tensor: tensor, lambda value: (values.append(value), value)[1])
    return values


def fill(state: Any, tensors: Iterable[Tensor], plain: Iterable[Any]) -> Any:
    """A state of the same types with other content, as `tensors_of` and `plain_of` gave it; raises as `detach`."""
    replacements, values = iter(tensors), iter(plain)
    return _change(state, lambda tensor: next(replacements).to(tensor.device), lambda value: next(values))


def divide(saved: Sequence[Tensor], like: Tensor, rank: int, count: int) -> Tensor:
    """A tensor of the state of one process, after another number of processes.

    Lane b is lane b // n of process b % n, for any number n of processes; see `recurra.data.batches.batch.Partition`.

    Args:
        saved: the tensor in each process before.
        like: the tensor of any batch of this process. The dimension of lanes is the one in which all sizes are as they
            have to be; if there is none, the tensor is the same for all lanes.
        rank: of this process.
        count: the number of processes now, which is not the number before.

    Raises:
        ValueError: the tensors differ in more than their lanes.
    """
    shape = list(saved[0].shape)
    totals = [sum(one.shape[dim] for one in saved) for dim in range(saved[0].dim())]
    fitting = [
        dim
        for dim in range(min(len(totals), like.dim()))
        if like.shape[dim] == len(range(rank, totals[dim], count)) and _without(shape, dim) == _without(like.shape, dim)
    ]
    if not fitting:
        if shape != list(like.shape):
            raise ValueError(f"a state of shape {tuple(like.shape)}, of which {tuple(shape)} was saved")
        return saved[0]
    # A dimension of size 1 may fit by chance.
    dim = max(fitting, key=totals.__getitem__)
    whole = saved[0].new_empty([*shape[:dim], totals[dim], *shape[dim + 1 :]])
    for process, one in enumerate(saved):
        whole.index_copy_(dim, torch.arange(process, totals[dim], len(saved)), one)
    return whole.index_select(dim, torch.arange(rank, totals[dim], count))


def _without(shape: Sequence[int], dim: int) -> list[int]:
    return [*shape[:dim], *shape[dim + 1 :]]


def is_finite(state: Any) -> bool:
    """Whether all numbers of a state are finite; raises as `detach`."""
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors_of(state))


def _change(
    state: Any, change: Callable[[Tensor], Tensor], change_plain: Callable[[Any], Any] = lambda value: value
) -> Any:
    if isinstance(state, Tensor):
        return change(state)
    if isinstance(state, _PLAIN):
        return change_plain(state)
    if isinstance(state, tuple):
        parts = [_change(part, change, change_plain) for part in state]
        return type(state)(*parts) if hasattr(state, "_fields") else type(state)(parts)
    if isinstance(state, list):
        return type(state)(_change(part, change, change_plain) for part in state)
    if isinstance(state, Mapping):
        changed = copy.copy(state)
        for key, part in state.items():
            changed[key] = _change(part, change, change_plain)  # type: ignore[index]
        return changed
    names = [field.name for field in dataclasses.fields(state)] if dataclasses.is_dataclass(state) else None
    if names is None and not hasattr(state, "__dict__"):
        expected = "tensors in tuples, lists, dicts, dataclasses or objects with attributes"
        raise ParameterError("state", expected, type(state).__name__, "Return the state as one of these.")
    changed = copy.copy(state)
    for name in vars(state) if names is None else names:
        # A frozen dataclass allows no other way; the copy is ours.
        object.__setattr__(changed, name, _change(getattr(state, name), change, change_plain))
    return changed
