from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from recurra.errors import ParameterError
from recurra.models import select_rows

INDEX = torch.tensor([2, 0, 0])


class Pair(NamedTuple):
    h: Tensor
    c: Tensor


@dataclass(frozen=True)
class Frozen:
    h: Any
    name: str = "x"


class Plain:
    def __init__(self, h: Tensor) -> None:
        self.h = h


class Own:
    def select(self, index: Tensor) -> str:
        return f"own {index.tolist()}"


def test_every_type_keeps_its_type_and_loses_its_order():
    rows = torch.arange(6.0).view(3, 2)
    expected = rows[INDEX]
    state = {
        "tuple": (rows, None),
        "named": Pair(rows, rows + 1),
        "list": [rows, 3, True],
        "ordered": OrderedDict(a=rows),
        "frozen": Frozen(Frozen(rows)),
        "plain": Plain(rows),
        "own": Own(),
    }
    found = select_rows(state, INDEX)
    assert torch.equal(found["tuple"][0], expected)
    assert found["tuple"][1] is None
    assert isinstance(found["named"], Pair)
    assert torch.equal(found["named"].c, expected + 1)
    assert found["list"][1:] == [3, True]
    assert isinstance(found["ordered"], OrderedDict)
    assert torch.equal(found["frozen"].h.h, expected)
    assert isinstance(found["plain"], Plain)
    assert torch.equal(found["plain"].h, expected)
    assert found["own"] == "own [2, 0, 0]"
    assert state["plain"].h is rows
    assert state["ordered"]["a"] is rows


def test_the_rows_may_be_in_another_dimension():
    state = torch.arange(12.0).view(2, 3, 2)
    assert torch.equal(select_rows((state,), INDEX, batch_dim=1)[0], state[:, INDEX])


def test_a_type_without_tensors_is_refused():
    with pytest.raises(ParameterError, match=r"select\(index\)"):
        select_rows(object(), INDEX)
