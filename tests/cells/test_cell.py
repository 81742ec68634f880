"""What a cell is: names and equations, equal where its class and options are, and refused where a part lacks."""

import pickle
from dataclasses import FrozenInstanceError, dataclass
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from agreement import assert_agree
from every_cell import CELLS, Peephole
from recurra import cells
from recurra.cells import Cell, Gates, PerUnit, State
from recurra.errors import ParameterError


def update(self: Cell, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
    return State(h=x.a + u.a)


@pytest.mark.parametrize("lacking", ["gates", "state", "update"])
def test_a_cell_without_a_part_is_refused_when_defined(lacking: str) -> None:
    parts = {"gates": ("a",), "state": ("h",), "update": update}
    assert issubclass(type("Whole", (Cell,), dict(parts)), Cell)
    del parts[lacking]
    with pytest.raises(ParameterError, match=rf"^Lacking\.{lacking}: expected"):
        type("Lacking", (Cell,), parts)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("recurrence", {"recurrence": "sparse"}),
        ("second_stage_gates", {"second_stage_gates": ("a",)}),
        ("second_stage_gates", {"second_stage_gates": ("a", "b")}),
        ("second_stage_gates", {"second_stage_gates": ("c",)}),
        *(
            ("second_stage_gates", {"second_stage_gates": ("b",), "recurrence": kind})
            for kind in ("block_diagonal", "diagonal", "none")
        ),
        *(("layer_norm", {"layer_norm": True, "recurrence": kind}) for kind in ("diagonal", "none")),
        ("layer_norm", {"layer_norm": True, "second_stage_gates": ("b",)}),
        *(("per_unit", {"per_unit": (name,)}) for name in ("weight_ih", "bias_hh", "bias_hr", "norm_hh")),
        ("per_unit", {"per_unit": ("p",), "scalars": ("q",)}),
        ("per_unit", {"initial": {"p": torch.ones_like}}),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_parts_that_do_not_fit_are_refused_when_defined(name: str, parts: dict[str, Any]) -> None:
    whole = {"gates": ("a", "b"), "state": ("h",), "update": update, "modulated": update}
    with pytest.raises(ParameterError, match=rf"^Wrong\.{name}: expected "):
        type("Wrong", (Cell,), whole | parts)


@pytest.mark.parametrize("recurrence", ["dense", "block_diagonal"])
def test_parts_that_fit_are_not(recurrence: str) -> None:
    whole = {"gates": ("a", "b"), "state": ("h",), "update": update, "recurrence": recurrence}
    assert type("Normal", (Cell,), whole | {"layer_norm": True}).layer_norm
    parts = {"per_unit": ("p", "q"), "scalars": ("q",), "initial": {"p": torch.ones_like, "q": torch.ones_like}}
    assert type("WithParameters", (Cell,), whole | parts).scalars == ("q",)
    if recurrence == "dense":
        second = whole | {"second_stage_gates": ("b",)}
        with pytest.raises(ParameterError, match=r"^SecondStage\.modulated: expected to be defined"):
            type("SecondStage", (Cell,), second)
        assert type("SecondStage", (Cell,), second | {"modulated": update}).second_stage_gates == ("b",)


def test_a_cell_derived_from_a_cell_may_change_only_its_equations() -> None:
    derived = type("Derived", (cells.LSTM,), {"update": update})
    assert derived.gates == cells.LSTM.gates
    assert derived.state == cells.LSTM.state


def test_equality_is_of_class_and_options() -> None:
    for a, first in enumerate(CELLS):
        for b, second in enumerate(CELLS):
            assert (first == second) == (a == b)
    assert cells.Elman() == cells.Elman("tanh") != cells.Elman("relu")
    assert hash(cells.Elman("relu")) == hash(cells.Elman("relu"))


def test_a_cell_is_a_value() -> None:
    for cell in CELLS:
        assert pickle.loads(pickle.dumps(cell)) == cell
        with pytest.raises(FrozenInstanceError):
            cell.gates = ("other",)  # pyright: ignore[reportAttributeAccessIssue]


def test_options_are_checked() -> None:
    with pytest.raises(ParameterError, match=r"^nonlinearity: expected 'tanh', 'relu' or 'sigmoid', got 'sine'\."):
        cells.Elman("sine")


@given(names=st.lists(st.text("abcdefg", min_size=1), min_size=1, max_size=5, unique=True))
def test_split_cuts_in_the_order_of_the_gates(names: list[str]) -> None:
    kind = dataclass(frozen=True)(type("Cut", (Cell,), {"gates": tuple(names), "state": ("h",), "update": update}))
    projection = torch.arange(2 * 3 * len(names)).reshape(2, 3 * len(names))
    gates = kind().split(projection)
    assert list(vars(gates)) == names
    assert torch.equal(torch.cat([getattr(gates, name) for name in names], dim=-1), projection)
    assert getattr(gates, names[-1])[0, -1] == 3 * len(names) - 1


def test_named_values() -> None:
    state = State(h=1, c=2)
    assert (state.h, state.c) == (1, 2)
    assert repr(state) == "State(h=1, c=2)"
    with pytest.raises(AttributeError, match="'n'"):
        _ = state.n


def test_a_cell_of_numbers_by_hand() -> None:
    """One unit of the peephole LSTM, against the paper's equations written out in numbers."""
    numbers = torch.randn(13, dtype=torch.float64)
    xi, xf, xg, xo, ui, uf, ug, uo, h, c, pi, pf, po = numbers
    after = Peephole().update(
        Gates(i=xi, f=xf, g=xg, o=xo),
        Gates(i=ui, f=uf, g=ug, o=uo),
        State(h=h, c=c),
        PerUnit(peep_i=pi, peep_f=pf, peep_o=po),
    )

    def logistic(v: torch.Tensor) -> torch.Tensor:
        return 1 / (1 + (-v).exp())

    memory = logistic(xf + uf + pf * c) * c + logistic(xi + ui + pi * c) * (xg + ug).tanh()
    assert_agree(after.c, memory)
    assert_agree(after.h, logistic(xo + uo + po * memory) * memory.tanh())
