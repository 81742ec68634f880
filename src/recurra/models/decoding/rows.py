"""The state of a search: any type made of tensors, whose rows are chosen and reordered."""

import copy
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from recurra.errors import ParameterError

__all__ = ["Step", "concatenate_rows", "select_rows", "tensors_of"]

Step = Callable[[Tensor, Any], tuple[Tensor, Any]]
"""From the last tokens (N,) and a state the log-probabilities (N, V) of the next ones, and the state after."""

_PLAIN = (type(None), bool, int, float, str)


def select_rows(state: Any, index: Tensor, batch_dim: int = 0) -> Any:
    """The rows of a state that `index` names, in its order; a row may be there several times or not at all.

    Args:
        state: tensors in tuples, named tuples, lists, dicts, dataclasses or objects with attributes, nested as they
            may be. What has a method `select(index)` is asked for its own rows. Numbers, strings and None stay.
        index: int64 (M,).
        batch_dim: of every tensor, the dimension that holds the rows: 0, or 1 for a recurrent state (L, B, H).

    Returns:
        A state of the same types; the argument is left as it was.

    Raises:
        ParameterError: for a type in which tensors cannot be found.
    """
    if isinstance(state, Tensor):
        return state.index_select(batch_dim, index)
    if isinstance(state, _PLAIN):
        return state
    if hasattr(state, "select"):
        return state.select(index)
    if isinstance(state, tuple):
        parts = [select_rows(part, index, batch_dim) for part in state]
        return type(state)(*parts) if hasattr(state, "_fields") else type(state)(parts)
    if isinstance(state, list):
        return type(state)(select_rows(part, index, batch_dim) for part in state)
    chosen = copy.copy(state)
    if isinstance(state, Mapping):
        for key, part in state.items():
            chosen[key] = select_rows(part, index, batch_dim)
        return chosen
    names = [field.name for field in dataclasses.fields(state)] if dataclasses.is_dataclass(state) else None
    if names is None and not hasattr(state, "__dict__"):
        expected = "tensors in tuples, lists, dicts, dataclasses or objects with attributes"
        raise ParameterError("state", expected, type(state).__name__, "Give it a method select(index).")
    for name in vars(state) if names is None else names:
        # A frozen dataclass allows no other way; the copy is ours.
        object.__setattr__(chosen, name, select_rows(getattr(state, name), index, batch_dim))
    return chosen


def concatenate_rows(states: Sequence[Any], batch_dim: int = 0) -> Any:
    """The rows of several states as one, in their order.

    Args:
        states: one or more of the same type: tensors in tuples, named tuples, lists, dicts or dataclasses, nested as
            they may be. Numbers, strings and None are those of the first.
        batch_dim: of every tensor, the dimension that holds the rows.

    Returns:
        A state of the same type.

    Raises:
        ParameterError: for a type in which tensors cannot be found.
    """
    first = states[0]
    if isinstance(first, Tensor):
        return torch.cat(list(states), batch_dim)
    if isinstance(first, _PLAIN):
        return first
    if isinstance(first, tuple | list):
        parts = [concatenate_rows(each, batch_dim) for each in zip(*states, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
    joined = copy.copy(first)
    if isinstance(first, Mapping):
        for key in first:
            joined[key] = concatenate_rows([state[key] for state in states], batch_dim)
        return joined
    if not dataclasses.is_dataclass(first):
        raise ParameterError("state", "tensors in tuples, lists, dicts or dataclasses", type(first).__name__)
    for field in dataclasses.fields(first):
        values = [getattr(state, field.name) for state in states]
        # A frozen dataclass allows no other way; the copy is ours.
        object.__setattr__(joined, field.name, concatenate_rows(values, batch_dim))
    return joined


def tensors_of(state: Any) -> list[Tensor]:
    """The tensors of a state, in one order for all states of a type.

    Args:
        state: tensors in tuples, named tuples, lists or dicts, nested as they may be. Numbers, strings and None have
            none.

    Raises:
        ParameterError: for a type in which tensors cannot be found.
    """
    if isinstance(state, Tensor):
        return [state]
    if isinstance(state, _PLAIN):
        return []
    if isinstance(state, tuple | list):
        return [tensor for part in state for tensor in tensors_of(part)]
    if isinstance(state, Mapping):
        return [tensor for part in state.values() for tensor in tensors_of(part)]
    raise ParameterError("state", "tensors in tuples, lists or dicts", type(state).__name__)
