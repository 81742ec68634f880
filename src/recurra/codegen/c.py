"""A traced cell written out as C99: a loop over the units, which a compiler can vectorise."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from recurra.cells import Cell
from recurra.codegen.derive import prepared
from recurra.codegen.expression import COMPARISONS, FUNCTIONS, Expression, Graph, reachable
from recurra.codegen.trace import new_trace

__all__ = ["C_NAMES", "CFunction", "literal", "write_c_modulated", "write_c_update"]

#: The functions of `recurra.ops` by the names they have in C, which are not those of its maths library.
C_NAMES = {
    "absolute": "absolute",
    "cos": "cos_of",
    "exp": "exp_of",
    "floor": "floor_of",
    "log": "log_of",
    "maximum": "maximum",
    "minimum": "minimum",
    "relu": "relu",
    "sigmoid": "sigmoid",
    "sin": "sin_of",
    "softplus": "softplus",
    "sqrt": "sqrt_of",
    "tanh": "tanh_of",
}
_OPERATORS = {
    "add": ("+", 1),
    "sub": ("-", 1),
    "mul": ("*", 2),
    "div": ("/", 2),
    **{name: (sign, 0) for name, sign in zip(COMPARISONS, ("<", "<=", ">", ">=", "==", "!="), strict=True)},
}
_UNARY, _ATOM = 3, 4
# Without math.h.
_NOT_FINITE = {"inf": "(1.0f / 0.0f)", "-inf": "(-1.0f / 0.0f)", "nan": "(0.0f / 0.0f)"}
_LONGEST = 60  # characters of an expression that is written inside another


class CFunction(NamedTuple):
    """A function in C.

    Attributes:
        text: its definition.
        parameters: what it takes after the number of units: "x", "u", "prepared", parts of the state, such as
            "state_h", and "output".
        calls: the functions of `recurra.ops` that it calls.
    """

    text: str
    parameters: tuple[str, ...]
    calls: frozenset[str]


def write_c_update(
    cell: Cell,
    name: str,
    *,
    has_x: bool = True,
    zoneout: tuple[float, ...] = (),
    reads_output: bool = True,
    separate_output: bool = False,
) -> CFunction:
    """The function of that name with the equations of a cell for each unit, on float32.

    Args:
        cell: the equations.
        name: of the function.
        has_x: False: the recurrent projection holds the sum of both.
        zoneout: by part of the state, the fraction of the old value that stays.
        reads_output: whether there is a first part of the state that the equations may read; else it is 0 to them.
        separate_output: whether the first part after the step goes to an array of its own, "output".

    Raises:
        CellError: if the equations cannot be compiled.
    """
    traced = new_trace(cell)
    graph = traced.graph
    before = [graph.input("s", part) for part in cell.state]
    after = list(traced.after)
    for k, fraction in enumerate(zoneout):
        if fraction:
            after[k] = after[k] + float(np.float32(fraction)) * (before[k] - after[k])
    known = _known(cell, graph, has_x) | _prepared(graph, prepared(traced))
    if not reads_output:
        known[before[0]] = graph.constant(0.0)
    results = dict(zip(cell.state, _replaced(graph, after, known), strict=True))
    return _function(cell, name, f"{type(cell).__name__}.update", results, separate_output)


def write_c_modulated(cell: Cell, name: str) -> CFunction:
    """The function of that name with what the second-stage gates multiply, for each unit.

    Raises:
        CellError: if the equations cannot be compiled.
    """
    traced = new_trace(cell)
    assert traced.modulated is not None
    known = _prepared(traced.graph, prepared(traced))
    (result,) = _replaced(traced.graph, [traced.modulated], known)
    return _function(cell, name, f"{type(cell).__name__}.modulated", {"": result}, True)


def literal(value: float) -> str:
    """A float32 as C writes it, to its last bit."""
    text = str(np.float32(value))
    if text in _NOT_FINITE:
        return _NOT_FINITE[text]
    return (text if any(sign in text for sign in ".e") else f"{text}.0") + "f"


def _known(cell: Cell, graph: Graph, has_x: bool) -> dict[Expression, Expression]:
    return {} if has_x else {graph.input("x", gate): graph.constant(0.0) for gate in cell.gates}


def _prepared(graph: Graph, once: Iterable[Expression]) -> dict[Expression, Expression]:
    """What follows from the per-unit parameters alone is computed before: an input."""
    return {node: graph.input("prepared", str(k)) for k, node in enumerate(once)}


def _replaced(graph: Graph, roots: Iterable[Expression], known: dict[Expression, Expression]) -> tuple[Expression, ...]:
    """The roots with other nodes in the place of some, simplified."""
    roots = tuple(roots)
    by_index = {node.index: other for node, other in known.items()}
    for node in reachable(roots, frozenset(known)):
        if node.index not in by_index:
            arguments = [by_index[argument.index] for argument in node.arguments]
            by_index[node.index] = graph.make(node.op, *arguments) if arguments else node
    return tuple(by_index[node.index] for node in roots)


def _function(cell: Cell, name: str, title: str, results: dict[str, Expression], separate_output: bool) -> CFunction:
    nodes = reachable(results.values())
    body = _Body(nodes, results)
    inputs = [node for node in nodes if node.op == "input"]
    groups = {node.label[0] for node in inputs}
    read = {label for group, label in (node.label for node in inputs) if group == "s"}
    update = "" not in results
    written = {*cell.state[1 if separate_output else 0 :]} if update else set()
    parameters = [group for group in ("x", "u", "prepared") if group in groups]
    declared = [f"const float *restrict {group}" for group in parameters]
    for part in cell.state:
        if part in read | written:
            parameters.append(f"state_{part}")
            declared.append(f"{'' if part in written else 'const '}float *restrict state_{part}")
    if separate_output:
        parameters.append("output")
        declared.append("float *restrict output")
    loads = [f"const float {_input_name(node)} = {_load(node, cell)};" for node in sorted(inputs, key=_order(cell))]
    stores = [
        f"{'output' if separate_output and not k else f'state_{part}'}[k] = {body.name(node)};"
        for k, (part, node) in enumerate(results.items())
    ]
    lines = "\n".join(f"        {line}" for line in (*loads, *body.statements, *stores))
    text = (
        f"/* {title}, for each of `units` units. */\n"
        f"{_signature(name, ['int units', *declared])}\n"
        f"{{\n    for (int k = 0; k < units; ++k) {{\n{lines}\n    }}\n}}\n"
    )
    return CFunction(text, tuple(parameters), frozenset(node.op for node in nodes if node.op in C_NAMES))


def _signature(name: str, parameters: list[str]) -> str:
    """A function's name and parameters, in lines of at most 120 characters."""
    lines = [f"static inline void {name}("]
    indent = " " * len(lines[0])
    for k, parameter in enumerate(parameters):
        text = f"{parameter}, " if k + 1 < len(parameters) else f"{parameter})"
        if len(lines[-1]) + len(text.rstrip()) > 120:
            lines.append(indent)
        lines[-1] += text
    return "\n".join(line.rstrip() for line in lines)


class _Body:
    """Statements for nodes that are used more than once or long; the others are written where they are used."""

    def __init__(self, nodes: list[Expression], results: dict[str, Expression]) -> None:
        self.statements: list[str] = []
        self._written: dict[int, tuple[str, int]] = {}
        uses = Counter(argument.index for node in nodes for argument in node.arguments)
        roots = {node.index: f"after_{part}" if part else "modulated" for part, node in results.items()}
        for node in nodes:
            text, precedence = self._expression(node)
            often = uses[node.index] > 1 or len(text) > _LONGEST
            plain = node.op in COMPARISONS or node.op == "input" or node.is_constant
            if not plain and (node.index in roots or often):
                name = roots.get(node.index, f"t{node.index}")
                self.statements.append(f"const float {name} = {text};")
                text, precedence = name, _ATOM
            self._written[node.index] = text, precedence

    def name(self, node: Expression) -> str:
        """A node that has a statement, is an input, or a constant."""
        return self._written[node.index][0]

    def _expression(self, node: Expression) -> tuple[str, int]:
        if node.op == "input":
            return _input_name(node), _ATOM
        if node.is_constant:
            return literal(node.label), _UNARY if node.label < 0 else _ATOM
        if node.op in _OPERATORS:
            sign, precedence = _OPERATORS[node.op]
            left = self._inside(node.arguments[0], precedence)
            return f"{left} {sign} {self._inside(node.arguments[1], precedence + 1)}", precedence
        if node.op == "neg":
            return f"-{self._inside(node.arguments[0], _ATOM)}", _UNARY
        arguments = [self._inside(argument, 0) for argument in node.arguments]
        if node.op == "where":
            return f"({arguments[0]} ? {arguments[1]} : {arguments[2]})", _ATOM
        assert node.op in FUNCTIONS or node.op in ("minimum", "maximum")
        return f"{C_NAMES[node.op]}({', '.join(arguments)})", _ATOM

    def _inside(self, node: Expression, precedence: int) -> str:
        text, own = self._written[node.index]
        return text if own >= precedence else f"({text})"


def _input_name(node: Expression) -> str:
    group, label = node.label
    return f"{group}_{label}"


def _order(cell: Cell) -> Callable[[Expression], tuple[int, int]]:
    names = {"x": cell.gates, "u": cell.gates, "s": cell.state}

    def key(node: Expression) -> tuple[int, int]:
        group, label = node.label
        return "xusp".index(group[0]), int(label) if group == "prepared" else names[group].index(label)

    return key


def _load(node: Expression, cell: Cell) -> str:
    group, label = node.label
    if group == "s":
        return f"state_{label}[k]"
    row = int(label) if group == "prepared" else cell.gates.index(label)
    return f"{group}[{('', 'units + ', f'{row} * units + ')[min(row, 2)]}k]"
