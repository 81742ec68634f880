"""Tracing: the graph computes what the equations say, and what cannot be traced is said with its line."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from equations import draw_inputs, update

from agreement import assert_agree
from every_cell import CELLS
from recurra import ops
from recurra.cells import GRU, LSTM, Cell, Gates, PerUnit, State
from recurra.codegen import evaluate, trace
from recurra.codegen.expression import Expression, Graph, reachable
from recurra.errors import CellError


@dataclass(frozen=True)
class OneGate(Cell):
    """A cell whose one equation is given, a function of all that `update` is given."""

    equation: Callable[[Gates, Gates, State, PerUnit], Any]

    gates = ("a", "b")
    state = ("h",)
    per_unit = ("scale",)

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(h=self.equation(x, u, s, p))


def equation(of: Callable[[Any, Any, Any, Any], Any]) -> Expression:
    (after,) = trace(OneGate(of)).after
    return after


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_the_graph_computes_the_update(cell: Cell) -> None:
    inputs = draw_inputs(cell, 50)
    assert_agree(evaluate(trace(cell).after, inputs), list(update(cell, inputs)))


def test_a_cell_is_traced_once_and_arguments_come_first() -> None:
    for cell in CELLS:
        traced = trace(cell)
        assert trace(cell) is traced
        seen: set[Expression] = set()
        for node in reachable(traced.after):
            assert seen.issuperset(node.arguments), cell
            seen.add(node)


EVERY_FORM = [
    lambda x, u, s, p: (x.a + 1) * (2 - u.a) / (s.h * s.h + 3) - 1 / (2 + x.b**2),
    lambda x, u, s, p: -x.a + abs(u.b) - x.a**3 + x.b**1 + x.b**2.0,
    lambda x, u, s, p: ops.minimum(x.a, u.a) + ops.maximum(0.25, s.h) + ops.maximum(s.h, -0.25),
    lambda x, u, s, p: ops.where(x.a < u.a, x.b, 2.0) + ops.where(x.a <= 0, 1.5, u.b),
    lambda x, u, s, p: ops.where(x.a > u.a, x.b, 2.0) + ops.where(0.5 >= x.a, 1.5, u.b),  # noqa: SIM300
    lambda x, u, s, p: ops.where(ops.relu(x.a) == 0, x.b, u.b) + ops.where(ops.relu(u.a) != 0.0, p.scale, s.h),
    lambda x, u, s, p: ops.where(0 == ops.relu(x.a), 1.0, s.h),  # noqa: SIM300
    lambda x, u, s, p: ops.exp(x.a) + ops.log(ops.absolute(u.a)) + ops.sqrt(x.b * x.b),
    lambda x, u, s, p: ops.sin(x.a) * ops.cos(u.a) - ops.floor(x.b * 3.0) * s.h,
    lambda x, u, s, p: ops.sigmoid(x.a) + ops.tanh(u.a) + ops.relu(x.b) + ops.softplus(u.b) * p.scale,
]


@pytest.mark.parametrize("form", EVERY_FORM)
def test_every_form_of_expression(form: Callable[..., Any]) -> None:
    cell = OneGate(form)
    inputs = draw_inputs(cell, 50)
    assert_agree(evaluate(trace(cell).after, inputs), list(update(cell, inputs)))


def test_common_subexpressions_are_one_node() -> None:
    after = equation(lambda x, u, s, p: ops.tanh(x.a + u.a) * ops.tanh(u.a + x.a))
    assert after.op == "mul"
    assert after.arguments[0] is after.arguments[1]
    tanhs = [node for node in reachable(trace(GRU()).after) if node.op == "tanh"]
    assert len(tanhs) == 1


def test_equality_makes_a_node_and_nodes_remain_keys() -> None:
    graph = Graph()
    a, b = graph.input("x", "a"), graph.input("x", "b")
    assert isinstance(a == b, Expression)
    assert (a == b).op == "eq"
    assert (a != b).op == "ne"
    assert {a: 1, b: 2}[graph.input("x", "b")] == 2
    assert len({a, b, graph.input("x", "a")}) == 2


@pytest.mark.parametrize(
    ("form", "printed"),
    [
        (lambda x, u, s, p: x.a + (2 * 3 - 5), "add(x.a, 1)"),
        (lambda x, u, s, p: (x.a * 0 + 2) - 1, "sub(add(mul(x.a, 0), 2), 1)"),
        (lambda x, u, s, p: x.a + 0, "x.a"),
        (lambda x, u, s, p: 0.0 + x.a, "x.a"),
        (lambda x, u, s, p: x.a - 0, "x.a"),
        (lambda x, u, s, p: 0 - x.a, "neg(x.a)"),
        (lambda x, u, s, p: 1 * x.a / 1, "x.a"),
        (lambda x, u, s, p: -(-x.a), "x.a"),  # noqa: B002
        (lambda x, u, s, p: x.a * -1 * 2, "mul(2, neg(x.a))"),
        (lambda x, u, s, p: -1.0 * x.a, "neg(x.a)"),
    ],
)
def test_simplification(form: Callable[..., Any], printed: str) -> None:
    def ordered(text: str) -> list[str]:
        return sorted(text.replace("(", " ").replace(")", " ").replace(",", " ").split())

    assert ordered(repr(equation(form))) == ordered(printed)


def test_constants_fold() -> None:
    graph = Graph()
    two, three = graph.constant(2), graph.constant(3)
    folded = {
        two + three: 5,
        two - three: -1,
        two * three: 6,
        two / three: 2 / 3,
        -two: -2,
        graph.make("minimum", two, three): 2,
        graph.make("maximum", two, three): 3,
    }
    for node, value in folded.items():
        assert node.is_constant
        assert node.label == value
    assert graph.constant(2) is two
    assert graph.constant(2.0) is two


def test_products_with_zero_remain_for_infinity_and_nan() -> None:
    after = equation(lambda x, u, s, p: x.a * 0)
    (found,) = evaluate([after], {("x", "a"): torch.tensor([math.inf, math.nan, 1.0], dtype=torch.float64)})
    assert found.isnan().tolist() == [True, True, False]


# Each is refused in the line marked so, which the message repeats, with the way out.


@dataclass(frozen=True)
class Branch(Cell):
    gates = ("a",)
    state = ("h",)

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        if x.a > 0:  # refused
            return State(h=u.a)
        return State(h=x.a)


@dataclass(frozen=True)
class Chained(Branch):
    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(h=ops.where(0 < x.a < 1, x.a, u.a))  # refused


@dataclass(frozen=True)
class Iterates(Branch):
    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(h=sum(x.a))  # refused


@dataclass(frozen=True)
class TorchFunction(Branch):
    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(h=torch.erf(x.a))  # refused


@dataclass(frozen=True)
class TensorMethod(Branch):
    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(h=x.a.tanh())  # refused


@dataclass(frozen=True)
class Power(Branch):
    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(h=x.a**0.5)  # refused


@dataclass(frozen=True)
class PowerOf(Branch):
    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(h=2**x.a)  # refused


@dataclass(frozen=True)
class OtherArgument(Branch):
    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(h=x.a + "one")  # refused


@dataclass(frozen=True)
class TensorArgument(Branch):
    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(h=x.a * torch.ones(3))  # refused


@dataclass(frozen=True)
class NotANumber(Branch):
    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(h=ops.minimum(x.a, math.inf))  # refused


@dataclass(frozen=True)
class MissingGate(Branch):
    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(h=x.forget)  # refused


@dataclass(frozen=True)
class Condition(Branch):
    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(h=ops.where(x.a, x.a, u.a))  # refused


@dataclass(frozen=True)
class ArithmeticOnComparison(Branch):
    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(h=(x.a > 0) * u.a)  # refused


@dataclass(frozen=True)
class ReturnsTuple(Branch):
    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> Any:  # refused
        return x.a, u.a


@dataclass(frozen=True)
class ReturnsNothing(Branch):
    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> Any:  # refused
        State(h=x.a)


@dataclass(frozen=True)
class MissingPart(LSTM):
    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:  # refused
        return State(h=x.i)


@dataclass(frozen=True)
class ReturnsTensor(Branch):
    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:  # refused
        return State(h=torch.ones(3))


@dataclass(frozen=True)
class ReturnsComparison(Branch):
    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:  # refused
        return State(h=x.a > u.a)


REFUSED = {
    Branch: "recurra.ops.where",
    Chained: "recurra.ops.where",
    Iterates: "one unit of one gate",
    TorchFunction: "recurra.ops",
    TensorMethod: "recurra.ops",
    Power: "recurra.ops.exp and log",
    PowerOf: "recurra.ops.exp and log",
    OtherArgument: "use numbers, gates, state and parameters",
    TensorArgument: "use numbers, gates, state and parameters",
    NotANumber: "finite",
    MissingGate: "forget",
    Condition: "a comparison",
    ArithmeticOnComparison: "recurra.ops.where",
    ReturnsTuple: "State(h=...)",
    ReturnsNothing: "State(h=...)",
    MissingPart: "State(h=..., c=...)",
    ReturnsTensor: "use numbers, gates, state and parameters",
    ReturnsComparison: "recurra.ops.where",
}


@pytest.mark.parametrize("kind", list(REFUSED), ids=lambda kind: kind.__name__)
def test_refusals_name_the_cell_the_line_and_the_way_out(kind: type[Cell]) -> None:
    code = kind.update.__code__
    with open(__file__, encoding="utf-8") as file:
        lines = file.read().splitlines()
    # The decorator-free first line of update, or a line of its body.
    (number,) = (n for n in range(code.co_firstlineno, code.co_firstlineno + 3) if "# refused" in lines[n - 1])
    with pytest.raises(CellError) as raised:
        trace(kind())
    message = str(raised.value)
    assert message.startswith(f"{kind.__name__}.update (")
    assert f"{__file__}:{number}: {lines[number - 1].partition('  #')[0].strip()}" in message
    assert REFUSED[kind] in message


@dataclass(frozen=True)
class ReadsLate(Cell):
    """What the second-stage gate's weights read cannot depend on what they make of it."""

    gates = ("a", "b")
    state = ("h",)
    second_stage_gates = ("b",)

    def modulated(self, x: Gates, u: Gates, s: State, p: PerUnit) -> Any:
        return u.a * u.b

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(h=x.a + u.b)


@dataclass(frozen=True)
class ReadsNothing(Branch):
    """There is no recurrent projection without a recurrence."""

    recurrence = "none"

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(h=x.a + u.a)


@pytest.mark.parametrize(
    ("cell", "line"), [(ReadsLate(), "return u.a * u.b"), (ReadsNothing(), r"return State(h=x.a + u.a)")], ids=str
)
def test_a_projection_that_is_not_there_is_refused(cell: Cell, line: str) -> None:
    with pytest.raises(CellError, match=rf"^{type(cell).__name__}\.update \(.*: {re.escape(line)}\) .*Gates has no"):
        trace(cell)


def test_an_error_in_a_function_that_update_calls_names_the_line_of_update() -> None:
    def helper(x: Any) -> Any:
        return 1 if x else 0

    @dataclass(frozen=True)
    class Calls(Branch):
        def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
            return State(h=helper(x.a))

    with pytest.raises(CellError, match=r"Calls\.update \(.*: return State\(h=helper\(x\.a\)\)\)"):
        trace(Calls())


def test_an_unknown_operation() -> None:
    graph = Graph()
    with pytest.raises(CellError, match="'erf'; supported are absolute, cos, exp"):
        graph.make("erf", graph.input("x", "a"))
