"""What is derived from a cell's equations, on cells where the truth is known by hand."""

from dataclasses import dataclass
from typing import Any

import pytest

from every_cell import CELLS, Peephole, ThreeParts
from recurra import cells, ops
from recurra.cells import GRU, LSTM, Cell, Elman, Gates, PerUnit, State
from recurra.codegen import (
    dependence,
    differentiate,
    differentiate_parts,
    mixes_units,
    saved_for_backward,
    shares_gradient,
    sum_only_gates,
    trace,
    write_cell,
)
from recurra.codegen.derive import prepared
from recurra.codegen.differentiate import differentiate_modulated
from recurra.codegen.expression import reachable


class Parts(Cell):
    """Gates and state of the cells below."""

    gates = ("z", "n")
    state = ("h",)

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        raise NotImplementedError


@dataclass(frozen=True)
class MinimalGRU(Parts):
    """minGRU (Feng et al. 2024): the gates see the input only."""

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        z = ops.sigmoid(x.z)
        return State(h=(1 - z) * s.h + z * x.n)


@dataclass(frozen=True)
class SumAndAlone(Parts):
    """x.z also alone; x.n and u.n only as a sum, in two places."""

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(h=ops.tanh(x.z + u.z) * (u.n + x.n) + (x.n + u.n) * s.h + x.z)


@dataclass(frozen=True)
class Doubled(Parts):
    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(h=(x.z + x.z) + u.z + (x.n - u.n))


@dataclass(frozen=True)
class ReturnsProjections(Cell):
    gates = ("z", "n")
    state = ("h", "c")

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(h=x.z + u.z + x.n + u.n, c=u.z)


@dataclass(frozen=True)
class ModulatesByU(Parts):
    """u.z also alone, in what the second-stage gate's weights read."""

    second_stage_gates = ("n",)

    def modulated(self, x: Gates, u: Gates, s: State, p: PerUnit) -> Any:
        return u.z * s.h

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(h=ops.tanh(x.z + u.z) + (x.n + u.n))


@pytest.mark.parametrize(
    ("cell", "gates"),
    [
        (LSTM(), ("i", "f", "g", "o")),
        (Peephole(), None),
        (GRU(), ("r", "z")),
        (Elman("tanh"), ("h",)),
        (ThreeParts(), ()),
        (SumAndAlone(), ("n",)),
        (Doubled(), ()),
        (MinimalGRU(), ()),
        (ReturnsProjections(), ()),
        (cells.GRUResetBefore(), ("r", "z", "n")),
        (ModulatesByU(), ("n",)),
    ],
    ids=str,
)
def test_gates_that_use_the_sum_only(cell: Cell, gates: Any) -> None:
    traced = trace(cell)
    found = sum_only_gates(traced)
    assert found == gates if gates is not None else set(found) <= set(cell.gates)
    assert shares_gradient(traced) == (set(found) == set(cell.gates))


def test_gradients_agree_where_they_are_shared() -> None:
    for cell in CELLS:
        traced = trace(cell)
        gradients = differentiate(traced)
        for gate in sum_only_gates(traced):
            k = cell.gates.index(gate)
            assert gradients.x[k] is gradients.u[k], (cell, gate)


def test_deriving_does_not_change_what_is_written() -> None:
    for cell in CELLS:
        trace.cache_clear()
        written = write_cell(cell, "Name")
        trace.cache_clear()
        sum_only_gates(trace(cell))
        dependence(cell)
        differentiate_parts(trace(cell))
        saved_for_backward(trace(cell))
        assert write_cell(cell, "Name") == written, cell


def saved(cell: Cell) -> list[str]:
    return sorted(map(repr, saved_for_backward(trace(cell))))


def test_what_an_lstm_keeps() -> None:
    i, f, o = (f"sigmoid(add(x.{gate}, u.{gate}))" for gate in "ifo")
    g = "tanh(add(x.g, u.g))"
    found = saved(LSTM())
    assert len(found) == 5
    assert {i, f, g, o} <= set(found)
    (rest,) = set(found) - {i, f, g, o}
    assert rest.startswith("tanh(add(mul(")


def test_what_a_gru_keeps() -> None:
    found = saved(GRU())
    assert len(found) == 4
    r, z = (f"sigmoid(add(x.{gate}, u.{gate}))" for gate in "rz")
    assert {r, z, "u.n"} <= set(found)
    (n,) = set(found) - {r, z, "u.n"}
    assert n.startswith("tanh(")


def test_what_elman_networks_keep() -> None:
    assert saved(Elman("tanh")) == ["tanh(add(x.h, u.h))"]
    assert saved(Elman("relu")) == ["add(x.h, u.h)"]


def test_what_second_stage_gates_save() -> None:
    f, n = "sigmoid(add(x.f, u.f))", "tanh(add(x.n, u.n))"
    assert saved(cells.MGU()) == [f, n]
    r, z = (f"sigmoid(add(x.{gate}, u.{gate}))" for gate in "rz")
    assert saved(cells.GRUResetBefore()) == [r, z, n]


@pytest.mark.parametrize("cell", [cells.IndRNN(), cells.SRU(), cells.MinGRU(), cells.RGLRU()], ids=str)
def test_cells_whose_units_do_not_mix_keep_nothing(cell: Cell) -> None:
    assert not mixes_units(cell)
    assert saved(cell) == []


@dataclass(frozen=True)
class Prepares(Cell):
    """Of its parameters: one compared, one in two functions, one as it is, one in an expression with a number."""

    gates = ("a",)
    state = ("h",)
    per_unit = ("compared", "twice", "plain", "sum", "unused")

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        a = x.a + u.a
        h = ops.where(p.compared > 0, ops.tanh(a), s.h) * p.plain
        return State(h=h + ops.exp(ops.sigmoid(p.twice)) * a + ops.sigmoid(p.twice) + (1 - p.sum * 2) * s.h)


def test_what_follows_from_parameters_alone() -> None:
    def found(cell: Cell) -> list[str]:
        return sorted(map(repr, prepared(trace(cell))))

    assert found(LSTM()) == []
    assert found(cells.PeepholeLSTM()) == sorted(f"p.{name}" for name in cells.PeepholeLSTM.per_unit)
    assert found(cells.FastGRNN()) == ["p.bias_h", "p.bias_z", "sigmoid(p.nu)", "sigmoid(p.zeta)"]
    assert found(cells.RGLRU()) == ["softplus(neg(p.decay))"]
    # What is compared is needed itself: a comparison is no number.
    twice = "sigmoid(p.twice)"
    assert found(Prepares()) == sorted(["p.compared", "p.plain", twice, f"exp({twice})", "sub(1, mul(p.sum, 2))"])


@pytest.mark.parametrize("cell", [*CELLS, Prepares(), ModulatesByU()], ids=str)
def test_what_is_kept_with_what_is_at_hand_gives_the_gradients(cell: Cell) -> None:
    traced = trace(cell)
    once = frozenset(prepared(traced))
    gradients = [differentiate(traced, prepared(traced))]
    if traced.modulated is not None:
        gradients.append(differentiate_modulated(traced, prepared(traced)))
    kept = frozenset(saved_for_backward(traced))
    assert kept <= frozenset(reachable(traced.results))
    assert not kept & once
    if not mixes_units(cell):
        return
    roots = [node for g in gradients for node in (*g.x, *g.u, *g.s, *g.p)]
    for node in reachable(roots, stop=kept | once):
        if node not in kept | once:
            assert node.op not in ("exp", "log", "tanh", "sqrt") or "d." in repr(node)
            # Neither projection is there in the backward pass, nor a parameter that is not prepared.
            assert node.op != "input" or node.label[0] not in "xup"
