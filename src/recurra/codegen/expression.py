"""Symbolic expressions: what a cell's `update` computes on when it is traced.

Nodes are interned: the same operation on the same arguments is the same object. Common subexpressions are therefore one
node from the start, and constants are folded as nodes are made.
"""

import math
from collections.abc import Iterable
from typing import Any, Self

from recurra.errors import CellError, InPlaceError

__all__ = ["ARITHMETIC", "COMPARISONS", "FUNCTIONS", "Expression", "Graph", "reachable"]

FUNCTIONS = ("absolute", "cos", "exp", "floor", "log", "relu", "sigmoid", "sin", "softplus", "sqrt", "tanh")
ARITHMETIC = ("add", "sub", "mul", "div", "neg", "minimum", "maximum", "where")
COMPARISONS = ("lt", "le", "gt", "ge", "eq", "ne")

_FOLD = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b if b else math.nan,
    "neg": lambda a: -a,
    "minimum": min,
    "maximum": max,
}


class Expression:
    """A node: an operation on other nodes, an input, or a constant.

    Attributes:
        op: a name of `FUNCTIONS`, `ARITHMETIC` or `COMPARISONS`, or "input", "constant" or "product".
        arguments: the nodes it is computed from.
        label: of an input its group and name, such as ("x", "i"); of a constant its value; of a product, of a
            matrix of the cell's and its argument, the name.
        index: its position in the graph; arguments come before what is computed from them.
    """

    __slots__ = ("_graph", "arguments", "index", "label", "op")

    def __init__(self, graph: "Graph", op: str, arguments: tuple[Self, ...], label: Any, index: int) -> None:
        self._graph = graph
        self.op = op
        self.arguments = arguments
        self.label = label
        self.index = index

    @property
    def is_constant(self) -> bool:
        """Whether the node is a number."""
        return self.op == "constant"

    def apply_op(self, name: str, *arguments: Any) -> "Expression":
        """Make a node of an operation; the functions of `recurra.ops` call it."""
        return self._graph.make(name, *arguments)

    def __repr__(self) -> str:
        if self.op == "input":
            return ".".join(self.label)
        if self.is_constant:
            return f"{self.label:g}"
        if self.op == "product":
            return f"{self.label}({self.arguments[0]!r})"
        return f"{self.op}({', '.join(map(repr, self.arguments))})"

    def __bool__(self) -> bool:
        raise CellError(
            "an `if`, `and`, `or`, `not`, `max`, `min` or loop on a traced value; its value is not known yet. "
            "Use recurra.ops.where, maximum or minimum."
        )

    def __iter__(self) -> Any:
        raise CellError("iteration over a traced value; it stands for one unit of one gate.")

    def __add__(self, other: Any) -> "Expression":
        return self._graph.make("add", self, other)

    def __radd__(self, other: Any) -> "Expression":
        return self._graph.make("add", other, self)

    def __sub__(self, other: Any) -> "Expression":
        return self._graph.make("sub", self, other)

    def __rsub__(self, other: Any) -> "Expression":
        return self._graph.make("sub", other, self)

    def __mul__(self, other: Any) -> "Expression":
        return self._graph.make("mul", self, other)

    def __rmul__(self, other: Any) -> "Expression":
        return self._graph.make("mul", other, self)

    def __truediv__(self, other: Any) -> "Expression":
        return self._graph.make("div", self, other)

    def __rtruediv__(self, other: Any) -> "Expression":
        return self._graph.make("div", other, self)

    # On tensors these change what others read, such as the state before the step.
    def _refuse_in_place(self, other: Any) -> Any:
        raise InPlaceError("an operation in place, such as h += 1; write h = h + 1.")

    __iadd__ = __isub__ = __imul__ = __itruediv__ = __ipow__ = _refuse_in_place

    def __neg__(self) -> "Expression":
        return self._graph.make("neg", self)

    def __abs__(self) -> "Expression":
        return self._graph.make("absolute", self)

    def __pow__(self, power: Any) -> "Expression":
        if not isinstance(power, int | float) or power not in (1, 2, 3):
            raise CellError(f"a power of {power!r}; only 1, 2 and 3 are supported. Use recurra.ops.exp and log.")
        result = self
        for _ in range(int(power) - 1):
            result = result * self
        return result

    def __rpow__(self, base: Any) -> "Expression":
        raise CellError(f"a traced power of {base!r}; only 1, 2 and 3 are supported. Use recurra.ops.exp and log.")

    def __lt__(self, other: Any) -> "Expression":
        return self._graph.make("lt", self, other)

    def __le__(self, other: Any) -> "Expression":
        return self._graph.make("le", self, other)

    def __gt__(self, other: Any) -> "Expression":
        return self._graph.make("gt", self, other)

    def __ge__(self, other: Any) -> "Expression":
        return self._graph.make("ge", self, other)

    # As on tensors, equality is an operation. Dicts and sets still find nodes by identity; a
    # tuple or list would ask for the truth of a node.
    def __eq__(self, other: object) -> "Expression":  # type: ignore[override]
        return self._graph.make("eq", self, other)

    def __ne__(self, other: object) -> "Expression":  # type: ignore[override]
        return self._graph.make("ne", self, other)

    __hash__ = object.__hash__


class Graph:
    """Makes nodes, each once."""

    def __init__(self) -> None:
        self._nodes: dict[tuple[Any, ...], Expression] = {}

    def input(self, group: str, name: str) -> Expression:
        """An input: of group "x", "u", "s", "p", or "d" (the gradient of a state)."""
        return self._intern("input", (), (group, name))

    def constant(self, value: float) -> Expression:
        """A number.

        Raises:
            CellError: for infinity and NaN.
        """
        value = float(value)
        if not math.isfinite(value):
            raise CellError(f"the number {value}; only finite numbers are supported.")
        return self._intern("constant", (), value)

    def product(self, name: str, argument: Any) -> Expression:
        """The product of a matrix of the cell's, by name, and values."""
        return self._intern("product", (self._node(argument),), name)

    def make(self, op: str, *arguments: Any) -> Expression:
        """A node of that operation, simplified; numbers among the arguments become constants.

        Raises:
            CellError: for an operation that is not supported, or an argument that is neither node nor number.
        """
        if op not in FUNCTIONS + ARITHMETIC + COMPARISONS:
            raise CellError(f"{op!r}; supported are {', '.join(FUNCTIONS + ARITHMETIC)}.")
        nodes = tuple(self._node(argument) for argument in arguments)
        values = nodes
        if op == "where":
            condition, *values = nodes
            if condition.op not in COMPARISONS:
                raise CellError("a condition of where that is not a comparison; write one, such as x.z > 0.")
        if any(node.op in COMPARISONS for node in values):
            raise CellError("a comparison used as a number; use recurra.ops.where(comparison, 1.0, 0.0).")
        simpler = self._simplified(op, nodes)
        return self._intern(op, nodes, None) if simpler is None else simpler

    def _node(self, value: Any) -> Expression:
        if isinstance(value, Expression):
            return value
        if isinstance(value, int | float):
            return self.constant(value)
        raise CellError(f"a {type(value).__name__} among traced values; use numbers, gates, state and parameters.")

    def _intern(self, op: str, arguments: tuple[Expression, ...], label: Any) -> Expression:
        key = (op, tuple(a.index for a in arguments), label)
        if key not in self._nodes:
            self._nodes[key] = Expression(self, op, arguments, label, len(self._nodes))
        return self._nodes[key]

    def _simplified(self, op: str, nodes: tuple[Expression, ...]) -> Expression | None:
        """A simpler node of the same value, or None. Nothing here changes a result for infinities or NaN."""
        if op in _FOLD and all(node.is_constant for node in nodes):
            return self.constant(_FOLD[op](*(node.label for node in nodes)))
        values = [node.label if node.is_constant else None for node in nodes]
        match op, values:
            case ("add", [0.0, _]) | ("mul", [1.0, _]):
                return nodes[1]
            case ("add" | "sub", [_, 0.0]) | ("mul" | "div", [_, 1.0]):
                return nodes[0]
            case "neg", _ if nodes[0].op == "neg":
                return nodes[0].arguments[0]
            case "sub", [0.0, _]:
                return self.make("neg", nodes[1])
            case "mul", [-1.0, _]:
                return self.make("neg", nodes[1])
            case "mul", [_, -1.0]:
                return self.make("neg", nodes[0])
            case (("add" | "mul"), _) if nodes[0].index > nodes[1].index:
                return self.make(op, nodes[1], nodes[0])
        return None


def reachable(roots: Iterable[Expression], stop: frozenset[Expression] = frozenset()) -> list[Expression]:
    """The nodes from which roots are computed, with the roots, arguments first. It does not search beyond `stop`."""
    nodes: dict[int, Expression] = {}
    waiting = list(roots)
    while waiting:
        node = waiting.pop()
        if node.index not in nodes:
            nodes[node.index] = node
            if node not in stop:
                waiting += node.arguments
    return [nodes[index] for index in sorted(nodes)]
