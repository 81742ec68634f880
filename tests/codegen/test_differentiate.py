"""The vector-Jacobian product of a step equals torch's own, for every cell and for random expressions."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from equations import draw_inputs, modulated, update
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from agreement import assert_agree
from every_cell import CELLS, FIRST_USE
from recurra import ops
from recurra.cells import LSTM, Cell, Gates, PerUnit, State
from recurra.codegen import differentiate, evaluate, trace
from recurra.codegen.derive import prepared
from recurra.codegen.differentiate import differentiate_modulated, differentiate_prepared
from recurra.codegen.expression import FUNCTIONS, reachable

EVERY_CELL = [*CELLS, *FIRST_USE]


def assert_gradients_agree(cell: Cell, inputs: dict[tuple[str, str], Tensor]) -> None:
    results = update(cell, inputs)
    cotangents = [torch.randn_like(result) for result in results]
    pairs = [(r, c) for r, c in zip(results, cotangents, strict=True) if r.requires_grad]
    expected: list[Any] = [torch.zeros_like(value) for value in inputs.values()]
    if pairs:
        roots, weights = zip(*pairs, strict=True)
        expected = list(
            torch.autograd.grad(roots, list(inputs.values()), weights, allow_unused=True, materialize_grads=True)
        )
    gradients = differentiate(trace(cell))
    nodes = [*gradients.x, *gradients.u, *gradients.s, *gradients.p]
    values = {name: value.detach() for name, value in inputs.items()}
    values |= {("d", part): cotangent for part, cotangent in zip(cell.state, cotangents, strict=True)}
    assert_agree(evaluate(nodes, values), expected)


@pytest.mark.parametrize("cell", EVERY_CELL, ids=str)
def test_every_cell(cell: Cell) -> None:
    assert_gradients_agree(cell, draw_inputs(cell, 200))


def test_gradients_are_of_the_inputs_and_of_d_alone() -> None:
    for cell in CELLS:
        traced = trace(cell)
        gradients = differentiate(traced)
        counts = [len(group) for group in (gradients.x, gradients.u, gradients.s, gradients.p)]
        assert counts == [len(cell.gates), len(cell.gates), len(cell.state), len(cell.per_unit)], cell
        found = {node.label for node in reachable([*gradients.x, *gradients.u, *gradients.s]) if node.op == "input"}
        assert {group for group, _ in found} <= {"x", "u", "s", "p", "d"}, cell
        assert differentiate(traced) == gradients, cell


@pytest.mark.parametrize("cell", [cell for cell in EVERY_CELL if cell.second_stage_gates], ids=str)
def test_what_second_stage_gates_read(cell: Cell) -> None:
    inputs = draw_inputs(cell, 200)
    traced = trace(cell)
    assert traced.modulated is not None
    second = [("u", gate) for gate in cell.second_stage_gates]
    result = modulated(cell, {name: value for name, value in inputs.items() if name not in second})
    cotangent = torch.randn_like(result)
    expected = torch.autograd.grad(result, list(inputs.values()), cotangent, allow_unused=True, materialize_grads=True)
    gradients = differentiate_modulated(traced)
    values = {name: value.detach() for name, value in inputs.items()} | {("d", "modulated"): cotangent}
    nodes = [*gradients.x, *gradients.u, *gradients.s, *gradients.p]
    assert_agree(evaluate([traced.modulated, *nodes], values), [result.detach(), *expected])


@pytest.mark.parametrize("cell", [cell for cell in EVERY_CELL if cell.per_unit], ids=str)
def test_gradients_by_way_of_what_is_prepared(cell: Cell) -> None:
    """Those of the parameters are the same, through what follows from these alone."""
    inputs = draw_inputs(cell, 200)
    traced = trace(cell)
    once = prepared(traced)
    values = {name: value.detach() for name, value in inputs.items()}
    values |= {("d", part): torch.randn(200, dtype=torch.float64) for part in cell.state}
    direct, by_way = differentiate(traced), differentiate(traced, once)
    assert (by_way.x, by_way.u, by_way.s) == (direct.x, direct.u, direct.s)
    values |= {("d", str(k)): value for k, value in enumerate(evaluate(by_way.p, values))}
    assert_agree(evaluate(differentiate_prepared(traced, once), values), evaluate(direct.p, values))


def test_a_gate_that_is_not_used_has_gradient_zero() -> None:
    @dataclass(frozen=True)
    class Unused(Cell):
        gates = ("a", "idle")
        state = ("h",)
        per_unit = ("idle",)

        def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
            return State(h=x.a)

    gradients = differentiate(trace(Unused()))
    zeros = [gradients.x[1], *gradients.u, *gradients.s, *gradients.p]
    assert all(node.is_constant and node.label == 0 for node in zeros)


@dataclass(frozen=True)
class Given(Cell):
    """A cell whose equations are given, by part of the state."""

    equations: tuple[Callable[..., Any], ...]

    gates = ("a", "b")
    state = ("h", "c")
    per_unit = ("p",)

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        leaves = (x.a, x.b, u.a, u.b, s.h, s.c, p.p)
        return State(h=self.equations[0](*leaves), c=self.equations[1](*leaves))


# Values at which a function has a kink, so that both sides of it and the kink itself are met.
KINKS = (-1.0, -0.5, 0.0, 0.5, 1.0)


def bounded(value: Any) -> Any:
    """Within (-1, 1) and still of any sign, so that nested exponentials stay finite."""
    return value / (1 + value * value)


UNARY: dict[str, Callable[..., Any]] = {
    "neg": lambda a: -a,
    "square": lambda a: bounded(a) ** 2,
    "cube": lambda a: bounded(a) ** 3,
    "absolute": ops.absolute,
    "relu": ops.relu,
    "sin": ops.sin,
    "cos": ops.cos,
    "floor": ops.floor,
    "sigmoid": ops.sigmoid,
    "softplus": ops.softplus,
    "tanh": ops.tanh,
    "exp": lambda a: ops.exp(bounded(a)),
    "log": lambda a: ops.log(ops.absolute(a) + 0.5),
    "sqrt": lambda a: ops.sqrt(ops.relu(a) + 0.5),
}
BINARY: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: bounded(a) * bounded(b),
    "div": lambda a, b: a / (1.5 + ops.tanh(b)),
    "minimum": ops.minimum,
    "maximum": ops.maximum,
    "lt": lambda a, b: ops.where(a < b, a, 2 * b),
    "le": lambda a, b: ops.where(a <= b, 2 * a, b),
    "gt": lambda a, b: ops.where(a > b, a * 3, b),
    "ge": lambda a, b: ops.where(a >= b, a, b * 3),
    "eq": lambda a, b: ops.where(a == b, a, b * 5),
    "ne": lambda a, b: ops.where(a != b, a, b * 5),
}


def extend(below: st.SearchStrategy[Callable[..., Any]]) -> st.SearchStrategy[Callable[..., Any]]:
    def unary(f: Callable[..., Any], a: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *leaves: f(a(*leaves))

    def binary(f: Callable[..., Any], a: Callable[..., Any], b: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *leaves: f(a(*leaves), b(*leaves))

    def with_number(f: Callable[..., Any], a: Callable[..., Any], number: float) -> Callable[..., Any]:
        return lambda *leaves: f(a(*leaves), number)

    return st.one_of(
        st.builds(unary, st.sampled_from(list(UNARY.values())), below),
        st.builds(binary, st.sampled_from(list(BINARY.values())), below, below),
        st.builds(
            with_number, st.sampled_from([BINARY[n] for n in ("add", "minimum", "maximum", "lt")]), below, NUMBERS
        ),
    )


NUMBERS = st.sampled_from([-0.5, 0.0, 0.5, 1.0])


def leaf(k: int) -> Callable[..., Any]:
    return lambda *leaves: leaves[k]


LEAVES = st.builds(leaf, st.integers(0, 6))
EXPRESSIONS = st.recursive(LEAVES, extend, max_leaves=12)


def test_every_operation_is_among_the_random_ones() -> None:
    covered = {*UNARY, *BINARY, "where"}
    assert {*FUNCTIONS, *ops.__all__} <= covered


@given(h=EXPRESSIONS, c=EXPRESSIONS, seed=st.integers(0, 2**32), at_kinks=st.booleans())
def test_random_expressions(h: Callable[..., Any], c: Callable[..., Any], seed: int, at_kinks: bool) -> None:
    torch.manual_seed(seed)
    cell = Given((h, c))
    inputs = draw_inputs(cell, 40)
    if at_kinks:
        for value in inputs.values():
            value.data = torch.tensor(KINKS, dtype=torch.float64)[torch.randint(len(KINKS), value.shape)]
    assert_agree(evaluate(trace(cell).after, inputs), list(update(cell, inputs)))
    assert_gradients_agree(cell, inputs)


@pytest.mark.parametrize("name", sorted({*UNARY, *BINARY} - {"square", "cube"}))
def test_each_operation_at_its_kink(name: str) -> None:
    function = UNARY.get(name) or BINARY[name]
    equation = (lambda a, b, *_: function(a)) if name in UNARY else (lambda a, b, *_: function(a, b))
    cell = Given((equation, lambda *leaves: leaves[5]))
    inputs = draw_inputs(cell, len(KINKS) ** 2)
    a, b = torch.cartesian_prod(*[torch.tensor(KINKS, dtype=torch.float64)] * 2).unbind(1)
    inputs["x", "a"].data, inputs["x", "b"].data = a.contiguous(), b.contiguous()
    assert_gradients_agree(cell, inputs)


def test_softplus_as_torch_has_it_beyond_its_threshold() -> None:
    cell = Given((lambda a, *_: ops.softplus(a), lambda *leaves: leaves[5]))
    inputs = draw_inputs(cell, 6)
    inputs["x", "a"].data = torch.tensor([-800.0, -20.0, 19.5, 20.0, 20.5, 800.0], dtype=torch.float64)
    assert_gradients_agree(cell, inputs)


def test_saturated_gates_have_no_nan() -> None:
    inputs = draw_inputs(LSTM(), 5)
    for value in inputs.values():
        value.data = torch.tensor([-1e3, 1e3, -40.0, 40.0, 0.0], dtype=torch.float64)
    gradients = differentiate(trace(LSTM()))
    values = {name: value.detach() for name, value in inputs.items()}
    values |= {("d", part): torch.ones(5, dtype=torch.float64) for part in ("h", "c")}
    found = evaluate([*gradients.x, *gradients.u, *gradients.s], values)
    assert all(math.isfinite(value) for tensor in found for value in tensor.tolist())
