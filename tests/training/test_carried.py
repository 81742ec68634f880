"""The carried state: detached, listed and filled again, whatever its type."""

from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from recurra.errors import ParameterError
from recurra.training.carried import detach, divide, fill, is_finite, plain_of, tensors_of

Pair = namedtuple("Pair", ["h", "c"])


@dataclass(frozen=True)
class Frozen:
    h: Any
    name: str = "lstm"


class Own:
    def __init__(self, memory: Any) -> None:
        self.memory = memory


def grown() -> Tensor:
    return torch.randn(2, 3, requires_grad=True) * 2


leaves = st.one_of(st.none(), st.integers(), st.just("text"), st.builds(grown))
states = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.tuples(inner, inner).map(lambda parts: Pair(*parts)),
        st.dictionaries(st.sampled_from("abc"), inner),
        inner.map(lambda part: OrderedDict(first=part)),
        inner.map(Frozen),
        inner.map(Own),
        inner.map(lambda part: SimpleNamespace(part=part)),
    ),
    max_leaves=6,
)


def shape(state: Any) -> Any:
    """The types of a state, with tensors left out."""
    if isinstance(state, Tensor):
        return "tensor"
    if isinstance(state, tuple | list):
        return type(state), [shape(part) for part in state]
    if isinstance(state, dict):
        return type(state), {key: shape(part) for key, part in state.items()}
    if hasattr(state, "__dict__"):
        return type(state), {key: shape(part) for key, part in vars(state).items()}
    return state


@given(states)
def test_a_state_is_detached_with_its_types_and_values(state: Any) -> None:
    before = tensors_of(state)
    detached = detach(state)
    assert shape(detached) == shape(state)
    after = tensors_of(detached)
    assert len(after) == len(before)
    for one, other in zip(after, before, strict=True):
        assert not one.requires_grad
        assert other.requires_grad  # the state given is left as it was
        assert torch.equal(one, other)


@given(states)
def test_a_state_is_filled_in_its_order(state: Any) -> None:
    numbers = [torch.full((2, 3), float(number)) for number in range(len(tensors_of(state)))]
    plain = [value if value is None or isinstance(value, str) else value + 1 for value in plain_of(state)]
    filled = fill(state, numbers, plain)
    assert plain_of(filled) == plain
    assert shape(fill(filled, numbers, plain_of(state))) == shape(state)
    assert all(torch.equal(one, other) for one, other in zip(tensors_of(filled), numbers, strict=True))


def test_one_number_that_is_not_finite_is_seen() -> None:
    good, bad = torch.ones(2), torch.tensor([1.0, torch.inf])
    assert is_finite((good, {"c": [good]}))
    assert is_finite(None)
    assert not is_finite((good, {"c": [bad]}))


@pytest.mark.parametrize("state", [{1, 2}, iter([1]), torch.float32])
def test_what_cannot_be_looked_into_is_refused(state: Any) -> None:
    with pytest.raises(ParameterError, match=r"state: expected .* tuples, lists, dicts.*Return"):
        detach((torch.ones(1), state))


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1), (2, 4), (3, 2), (2, 3)])
def test_lanes_are_divided_among_another_number_of_processes(before: int, after: int):
    whole = torch.arange(2 * 7 * 3).reshape(2, 7, 3)
    saved = [whole[:, process::before] for process in range(before)]
    for rank in range(after):
        expected = whole[:, rank::after]
        assert torch.equal(divide(saved, torch.zeros(expected.shape), rank, after), expected)
    same = [torch.arange(3)] * before
    assert torch.equal(divide(same, torch.zeros(3), 0, after), torch.arange(3))
    with pytest.raises(ValueError, match=r"a state of shape \(2, 9, 4\)"):
        divide(saved, torch.zeros(2, 9, 4), 0, after)
