"""Cells with a fault are refused, or fail, with a word about the cell and the line."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch

from recurra import Recurrent, RecurrentCell
from recurra.cells import MGU, Cell, State
from recurra.errors import CellError, InPlaceError, ParameterError
from recurra.ops import tanh


class InPlace(Cell):
    gates, state = ("a",), ("h",)

    def update(self, x: Any, u: Any, s: Any, p: Any) -> State:
        h = s.h
        h += tanh(x.a + u.a)
        return State(h=h)


@pytest.mark.parametrize("make", [Recurrent, RecurrentCell])
def test_a_cell_that_changes_its_state_in_place_is_refused(make: Any) -> None:
    with pytest.raises(InPlaceError, match=r"^InPlace\.update \(.*: h \+= tanh\(x\.a \+ u\.a\)\).*write h = h \+ 1"):
        make(InPlace(), 3, 4)


class WithAttribute(Cell):
    gates, state = ("a",), ("h",)

    def __init__(self, scale: float) -> None:
        self.scale = scale

    def update(self, x: Any, u: Any, s: Any, p: Any) -> State:
        return State(h=tanh(self.scale * x.a + u.a))


def test_an_option_that_is_no_field_is_refused_as_it_makes_no_difference_between_cells() -> None:
    assert WithAttribute(2.0) == WithAttribute(3.0)
    with pytest.raises(ParameterError, match=r"^WithAttribute\.scale: expected options that are fields"):
        Recurrent(WithAttribute(2.0), 3, 4)


@dataclass(frozen=True)
class Misspelt(Cell):
    gates, state = ("a", "b"), ("h",)

    def update(self, x: Any, u: Any, s: Any, p: Any) -> State:
        return State(h=tanh(x.a + u.c))


class NoState(Cell):
    gates, state = ("a",), ("h",)

    def update(self, x: Any, u: Any, s: Any, p: Any) -> Any:
        return tanh(x.a + u.a)


class Unnamed(Cell):
    gates, state = ("a",), ("h",)

    def update(self, x: Any, u: Any, s: Any, p: Any) -> State:
        return State(tanh(x.a + u.a))


class LeftOut(Cell):
    gates, state = ("a",), ("h", "c")

    def update(self, x: Any, u: Any, s: Any, p: Any) -> State:
        return State(h=tanh(x.a + u.a))


class Condition(Cell):
    gates, state = ("a",), ("h",)

    def update(self, x: Any, u: Any, s: Any, p: Any) -> State:
        return State(h=x.a if x.a > 0 else u.a)


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (Misspelt(), r"Misspelt\.update \(.*: return State\(h=tanh\(x\.a \+ u\.c\)\)\).*Gates .* 'c',"),
        (NoState(), r"NoState\.update .* return State\(h=\.\.\.\)"),
        (Unnamed(), r"Unnamed\.update .*State"),
        (LeftOut(), r"LeftOut\.update .* return State\(h=\.\.\., c=\.\.\.\)"),
        (Condition(), r"Condition\.update .*x\.a > 0.*recurra\.ops\.where"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Cell) else "",
)
@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_what_fails_without_being_compiled_says_what_is_wrong_in_the_cell(cell: Cell, words: str, backend: str) -> None:
    with pytest.raises(CellError, match=words):
        Recurrent(cell, 3, 4, backend=backend)(torch.randn(5, 2, 3))


class Number(Cell):
    gates, state = ("a",), ("h", "count")

    def update(self, x: Any, u: Any, s: Any, p: Any) -> State:
        return State(h=tanh(x.a + u.a + s.count), count=1.0)


@pytest.mark.parametrize("make", [Recurrent, RecurrentCell])
def test_a_number_as_a_part_of_the_state_is_that_of_every_unit(make: Any) -> None:
    one, other = (make(Number(), 3, 4, backend=backend) for backend in ("auto", "reference"))
    other.load_state_dict(one.state_dict())
    x = torch.randn(5, 2, 3) if make is Recurrent else torch.randn(2, 3)
    for mine, its in zip(one(x), other(x), strict=True):
        torch.testing.assert_close(mine, its)


class Wider(Cell):
    gates, state = ("a",), ("h", "memory")

    def update(self, x: Any, u: Any, s: Any, p: Any) -> State:
        h = torch.tanh(x.a + u.a)
        return State(h=h, memory=torch.cat([s.memory, h], dim=-1))


@pytest.mark.parametrize("make", [Recurrent, RecurrentCell])
def test_a_part_of_the_state_has_the_width_of_the_units(make: Any) -> None:
    words = r"^Wider\.update: the part 'memory' of the state has the shape \(1, 8\) after a step .* \(1, 4\) before it"
    with pytest.raises(CellError, match=words):
        make(Wider(), 3, 4)


def test_an_error_that_is_not_the_cell_s_stays_what_it_is() -> None:
    layer = Recurrent(MGU(), 3, 4)
    layer.get_parameter("weight_hh_l0").data = torch.randn(8, 5)
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        layer(torch.randn(5, 2, 3))


@pytest.mark.parametrize("name", ["gates", "state", "per_unit"])
@pytest.mark.parametrize("names", [("a", "a"), "ab", ["a"], ("1a",), (1,), ()], ids=repr)
def test_names_are_a_tuple_of_different_identifiers(name: str, names: Any) -> None:
    if name == "per_unit" and names == ():
        pytest.skip("a cell may have none")
    parts = {"gates": ("x",), "state": ("h",), "update": lambda self, x, u, s, p: s} | {name: names}
    with pytest.raises(ParameterError, match=rf"^Wrong\.{name}: expected .* names"):
        type("Wrong", (Cell,), parts)
