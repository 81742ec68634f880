"""`keeps` and `admits` of the cells are what their gates do, found by pushing each with a large bias."""

import pytest
import torch
from torch import Tensor
from torch.autograd.functional import jacobian

from agreement import assert_agree
from every_cell import CELLS, FIRST_USE, WITH_PRODUCTS, fitting
from recurra import RecurrentCell
from recurra.cells import Cell, State
from recurra.errors import ParameterError

EVERY_CELL = [cell for cell in (*CELLS, *FIRST_USE, *WITH_PRODUCTS) if not cell.widths()]
EXPORTED = [cell for cell in EVERY_CELL if type(cell).__module__.startswith("recurra.")]
LARGE = 40.0
# Gates that act so and are not in `keeps`: sLSTM's i, exponential, scales c and n alike, and so not their ratio; and
# FastGRNN's a, which is its candidate too.
LEFT_OUT = {"SLSTM": {"i"}, "FastGRNN": {"a"}}
# A bistable unit remembers beside its gate, unless a is 0; and what it takes in moves the gate, unless w_c is 0.
# A unit in phases is at its most open where a long period has begun, and its time passes whatever its gates do.
BESIDE = {
    "BRC": {"a": -LARGE, "w_c": 0.0},
    "NBRC": {"a": -LARGE},
    "PhasedLSTM": {"log_period": LARGE, "shift": -0.25},
}
# The further layers of a highway network carry the state.
BESIDE["RHN"] = {"bias_t2": -LARGE, "bias_t3": -LARGE}
CLOCKS = {"PhasedLSTM": ("t",)}
# What STAR's gate keeps, its tanh shrinks at each step.
SHRINKING = {"STAR"}


KEEPING = [cell for cell in EXPORTED if cell.keeps and type(cell).__name__ not in SHRINKING]


def pushed(cell: Cell, biases: dict[str, float], weights: float = 0.0) -> RecurrentCell:
    """One step whose weights are small or none, and whose biases are zero but for some."""
    backend = "auto" if cell.built_in else "reference"
    step = RecurrentCell(cell, 3, fitting(cell, 4), backend=backend, dtype=torch.float64)
    with torch.no_grad():
        for name, parameter in step.named_parameters():
            if name.startswith(("weight_", "bias_ih", "bias_hh")):
                parameter.normal_(std=weights) if name.startswith("weight_") else parameter.zero_()
        gates = cell.input_gates()
        rows = dict(zip(gates, step.get_parameter("bias_ih").chunk(len(gates)), strict=True))
        for name, value in biases.items():
            (rows[name] if name in rows else step.get_parameter(name)).fill_(value)
    return step


def run(step: RecurrentCell, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    for x_t in x:
        after = step(x_t, state)
        state = after if isinstance(after, tuple) else (after,)
    return state


def share_that_stays(cell: Cell, biases: dict[str, float]) -> float:
    """The largest influence of a part of the state on one 12 steps later."""
    step = pushed(cell, BESIDE.get(type(cell).__name__, {}) | biases)
    clocks = CLOCKS.get(type(cell).__name__, ())
    state = tuple(torch.full((1, step.hidden_size), part not in clocks).double() for part in cell.state)
    influences = jacobian(lambda *state: run(step, torch.zeros(12, 1, 3).double(), state), state)
    by_part = [influence for part, influence in zip(cell.state, influences, strict=True) if part not in clocks]
    return max(float(block.abs().max()) for blocks in by_part for block in blocks)


@pytest.mark.parametrize("cell", EXPORTED, ids=str)
def test_keeps_names_the_gates_that_keep_the_state(cell: Cell) -> None:
    found = {}
    for name in {**dict.fromkeys(cell.input_gates()), **cell.keeps}:
        raised, lowered = (share_that_stays(cell, {name: sign * LARGE}) for sign in (1, -1))
        if max(raised, lowered) > 1000 * min(raised, lowered):
            found[name] = 1 if raised > lowered else -1
    left_out = LEFT_OUT.get(type(cell).__name__, set())
    assert left_out <= found.keys()
    # minLSTM's input gate too decides how much stays, as its gates sum to 1.
    assert all(found.get(name, -1) == -1 for name in cell.admits)
    assert {name: sign for name, sign in found.items() if name not in {*left_out, *cell.admits}} == dict(cell.keeps)


@pytest.mark.parametrize("cell", KEEPING, ids=str)
def test_pushed_by_all_that_it_says_the_state_stays_or_goes(cell: Cell) -> None:
    signs = {**cell.keeps, **dict.fromkeys(cell.admits, -1)}
    stays, goes = (share_that_stays(cell, {name: s * sign * LARGE for name, sign in signs.items()}) for s in (1, -1))
    assert stays > 0.999
    assert goes < 1e-10


# Those left out always take in something; the memory of those that read the time fades whatever their gates do.
@pytest.mark.parametrize(
    "cell",
    [cell for cell in KEEPING if type(cell).__name__ not in LEFT_OUT and cell.elapsed == "none"],
    ids=str,
)
def test_the_memory_stays_as_it_is_where_nothing_is_admitted(cell: Cell) -> None:
    biases = {name: sign * LARGE for name, sign in cell.keeps.items()}
    x = torch.randn(12, 2, 3, dtype=torch.float64)
    before = tuple(torch.randn(2, 4, dtype=torch.float64) for _ in cell.state)
    biases = BESIDE.get(type(cell).__name__, {}) | biases
    step = pushed(cell, biases | dict.fromkeys(cell.admits, -LARGE), 0.1)
    assert_agree(run(step, x, before)[-1], before[-1])
    if cell.admits and len(cell.state) > 1:
        assert not torch.allclose(run(pushed(cell, biases, 0.1), x, before)[-1], before[-1])


def update(self: Cell, x: object, u: object, s: State, p: object) -> State:
    return s


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("keeps", {"keeps": {"c": 1}}),
        ("keeps", {"keeps": {"a": 2}}),
        ("keeps", {"keeps": {"q": 1}}),
        ("admits", {"admits": ("c",)}),
        ("admits", {"keeps": {"a": 1}, "admits": ("a",)}),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused_when_defined(name: str, parts: dict[str, object]) -> None:
    whole = {"gates": ("a", "b"), "state": ("h",), "per_unit": ("p", "q"), "scalars": ("q",), "update": update}
    assert type("Right", (Cell,), whole | {"keeps": {"a": 1, "p": -1}, "admits": ("b",)}).keeps == {"a": 1, "p": -1}
    with pytest.raises(ParameterError, match=rf"^Wrong\.{name}: expected "):
        type("Wrong", (Cell,), whole | parts)
