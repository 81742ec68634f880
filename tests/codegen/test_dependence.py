"""How the state depends on the state before: derived from the equations, and judged by numbers."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from equations import draw_inputs
from torch import Tensor

from agreement import assert_agree
from every_cell import CELLS, FIRST_USE, WITH_PRODUCTS, ThreeParts, draw_weights, fitting
from recurra import cells, ops
from recurra.cells import Cell, Gates, PerUnit, State
from recurra.codegen import Dependence, dependence, differentiate, differentiate_parts, evaluate, trace
from recurra.kernels import reference

HIDDEN, STATES = 4, 24


@dataclass(frozen=True)
class Parts(Cell):
    """Gates and state of the cells below. Dense, but for those of them that read no recurrent projection."""

    gates = ("z", "n")
    state = ("h",)

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        z = ops.sigmoid(x.z)
        return State(h=(1 - z) * s.h + z * x.n)


@dataclass(frozen=True)
class TwoAffineParts(Cell):
    gates = ("a", "b")
    state = ("h", "c")
    per_unit = ("decay",)

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        c = ops.where(x.a > 0, p.decay * s.c, -s.c / (1 + x.b * x.b)) + x.b
        return State(h=c * ops.tanh(x.a) - s.h, c=c)


@dataclass(frozen=True)
class TwoAverages(Cell):
    """Two parts of which each reads itself, and a result that no step reads."""

    gates = ("a", "b")
    state = ("h", "slow", "fast")
    recurrence = "none"

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        slow, fast = s.slow + 0.1 * (x.a - s.slow), s.fast + ops.sigmoid(x.b) * (x.a - s.fast)
        return State(h=ops.tanh(slow - s.fast), slow=slow, fast=fast)


@dataclass(frozen=True)
class Delay(Parts):
    state = ("h", "last")

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(h=s.last, last=x.z)


@dataclass(frozen=True)
class WithoutMemory(Parts):
    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(h=ops.tanh(x.z))


@dataclass(frozen=True)
class ModulatesInput(Parts):
    """Its second-stage gate reads the input of other units, and no state."""

    second_stage_gates = ("n",)

    def modulated(self, x: Gates, u: Gates, s: State, p: PerUnit) -> Any:
        return x.z

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(h=0.5 * s.h + u.n)


@dataclass(frozen=True)
class ModulatesState(ModulatesInput):
    def modulated(self, x: Gates, u: Gates, s: State, p: PerUnit) -> Any:
        return ops.sigmoid(x.z) * s.h


@dataclass(frozen=True)
class SquaredState(Parts):
    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(h=x.z * s.h * s.h)


@dataclass(frozen=True)
class DividesByState(Parts):
    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(h=x.z / s.h)


@dataclass(frozen=True)
class BranchesOnState(Parts):
    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(h=ops.where(s.h > 0, s.h, x.z))


@dataclass(frozen=True)
class LinearRecurrence(Parts):
    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(h=x.z + u.n)


@dataclass(frozen=True)
class DiagonalRecurrence(LinearRecurrence):
    recurrence = "diagonal"


@dataclass(frozen=True)
class LinearJordan(LinearRecurrence):
    output_nonlinearity = "identity"


@dataclass(frozen=True)
class GatedDiagonal(DiagonalRecurrence):
    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(h=ops.sigmoid(x.z + u.z) * s.h)


@dataclass(frozen=True)
class DiagonalLSTM(cells.LSTM):
    recurrence = "diagonal"


KNOWN = [
    (Parts(), "diagonal", True),
    (TwoAffineParts(), "blocks", True),
    (TwoAverages(), "diagonal", True),
    (Delay(), "diagonal", True),
    (WithoutMemory(), "none", True),
    (ModulatesInput(), "diagonal", True),
    (ModulatesState(), "dense", True),
    (SquaredState(), "diagonal", False),
    (DividesByState(), "diagonal", False),
    (BranchesOnState(), "diagonal", False),
    (LinearRecurrence(), "dense", True),
    (LinearJordan(), "dense", True),
    (DiagonalRecurrence(), "diagonal", True),
    (GatedDiagonal(), "diagonal", False),
    (DiagonalLSTM(), "blocks", False),
    (ThreeParts(), "dense", False),
    (cells.LSTM(), "dense", False),
    (cells.IndRNN(), "diagonal", False),
    (cells.SRU(), "diagonal", False),
    (cells.SLSTM(heads=2), "heads", False),
    (cells.MinGRU(), "diagonal", True),
    (cells.MinLSTM(), "diagonal", True),
    (cells.RGLRU(), "diagonal", True),
]


@pytest.mark.parametrize(("cell", "kind", "affine"), KNOWN, ids=str)
def test_cells_whose_dependence_is_known(cell: Cell, kind: str, affine: bool) -> None:
    assert (dependence(cell).kind, dependence(cell).affine) == (kind, affine)


def secants(cell: Cell) -> Tensor:
    """Slopes of a step by the reference around random states, each (P, H, P, H) for the parts after and before.

    Each number of a state is replaced by another one, far enough that conditions change.
    """
    torch.manual_seed(0)
    hidden, parts = fitting(cell, HIDDEN), len(cell.state)
    weights = draw_weights(cell, 2, hidden, proj_size=hidden if cell.output_nonlinearity is not None else 0)
    x = 2 * torch.randn(1, len(cell.gates) * hidden, dtype=torch.float64)

    def step(states: Tensor) -> Tensor:  # (N, P, H)
        return torch.stack(reference.step(cell, x.expand(len(states), -1), states.unbind(1), weights), 1).detach()

    found = []
    for state in 2 * torch.randn(STATES, parts, hidden, dtype=torch.float64):
        moved = 2 * torch.randn(parts * hidden, dtype=torch.float64)
        each = state.flatten() + torch.diag(moved - state.flatten())
        slopes = (step(each.unflatten(1, (parts, hidden))) - step(state.unsqueeze(0))).permute(1, 2, 0)
        found.append((slopes / (moved - state.flatten())).unflatten(2, (parts, hidden)))
    return torch.stack(found)


def seen(cell: Cell) -> Dependence:
    """What numerical slopes show."""
    of_states = secants(cell)
    hidden, there = of_states.shape[2], of_states.abs().amax(0) > 1e-12
    own = torch.eye(hidden, dtype=torch.bool)
    others = there.any(0).any(1) & ~own
    head = torch.arange(hidden) // (hidden // cell.heads)
    within = head.unsqueeze(0) == head.unsqueeze(1)
    mixes = "none" if not others.any() else "all" if cell.heads == 1 or (others & ~within).any() else "heads"
    reads = there.permute(0, 2, 1, 3)[:, :, own].any(2)
    carried = reads.any(0)
    rows = of_states[:, carried]
    affine = bool((rows - rows[:1]).abs().amax() < 1e-9) if carried.any() else True
    return Dependence(tuple(tuple(row.tolist()) for row in reads), mixes, affine)


OF_UNITS = [cell for cell in WITH_PRODUCTS if not cell.widths()]


@pytest.mark.parametrize(
    "cell", [*CELLS, *FIRST_USE, *OF_UNITS, *(cell for cell, *_ in KNOWN if cell not in CELLS)], ids=str
)
def test_it_is_what_numerical_slopes_show(cell: Cell) -> None:
    assert dependence(cell) == seen(cell)


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_the_rows_of_the_jacobian_are_gradients_of_one_part_each(cell: Cell) -> None:
    traced = trace(cell)
    values = {label: value.detach() for label, value in draw_inputs(cell, 20).items()}
    whole = differentiate(traced)
    for part, row in zip(cell.state, differentiate_parts(traced), strict=True):
        ds = {("d", other): torch.full((20,), float(other == part), dtype=torch.float64) for other in cell.state}
        for alone, together in ((row.x, whole.x), (row.u, whole.u), (row.s, whole.s), (row.p, whole.p)):
            assert_agree(evaluate(alone, values), evaluate(together, values | ds))
