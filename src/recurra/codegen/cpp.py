"""A traced cell written out as C++ for the engine."""

import hashlib
from collections.abc import Iterable, Sequence

from recurra.cells import Cell
from recurra.codegen.cpp_maths import cpp_maths
from recurra.codegen.derive import mixes_units, prepared, saved_for_backward, shares_gradient
from recurra.codegen.differentiate import Gradients, differentiate, differentiate_modulated, differentiate_prepared
from recurra.codegen.expression import FUNCTIONS, Expression, reachable
from recurra.codegen.trace import Trace, check_by_unit, new_trace

__all__ = ["digest", "write_cell"]

_OPERATORS = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "div": "/",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
    "eq": "==",
    "ne": "!=",
}
_COMPARISONS = {"lt", "le", "gt", "ge", "eq", "ne"}


def write_cell(cell: Cell, name: str) -> str:
    """A C++ struct of that name with the cell's sizes, `forward` and `backward`, on vectors of any width.

    Raises:
        CellError: if the equations cannot be compiled.
    """
    check_by_unit(cell)
    # Nodes are named and ordered by their index in the graph: a cell always gives the same source.
    traced = new_trace(cell)
    saved, shared = saved_for_backward(traced), shares_gradient(traced)
    once = prepared(traced)
    input_names = _input_names(cell)
    ready = {node: f"p[{k}]" for k, node in enumerate(once)}
    loaded = ready | {node: f"saved[{k}]" for k, node in enumerate(saved)}
    second_stage = ""
    if traced.modulated is not None:
        inputs, d = "const V* x, const V* u, const V* s, const V* p", "V d"
        second_stage = _function(
            "V modulated",
            inputs,
            _statements(reachable([traced.modulated], frozenset(once)), input_names, ready),
            [f"return {_name(traced.modulated)};"],
        )
        inputs_of_second_stage = input_names | {("d", "modulated"): "d"}
        gradients = differentiate_modulated(traced, once)
        second_stage += _backward("modulated_backward", d, gradients, shared, inputs_of_second_stage, loaded)
    forward = _function(
        "void forward",
        "const V* x, const V* u, const V* s, const V* p, V* after, V* saved",
        _statements(reachable([*traced.after, *saved], frozenset(once)), input_names, ready),
        [
            *(f"after[{k}] = {_name(node)};" for k, node in enumerate(traced.after)),
            *(f"saved[{k}] = {_name(node)};" for k, node in enumerate(saved)),
        ],
    )
    functions = (
        _prepare(traced, once, input_names)
        + forward
        + _backward("backward", "const V* d", differentiate(traced, once), shared, input_names, loaded)
        + second_stage
    )
    maths = cpp_maths(function for function in FUNCTIONS if f"vector_{function}(" in functions)
    return (
        f"struct {name} {{\n"
        f"  static constexpr int gates = {len(cell.gates)}, parts = {len(cell.state)};\n"
        f"  static constexpr int second_stage = {len(cell.second_stage_gates)};\n"
        f"  static constexpr int per_unit = {len(cell.per_unit)}, prepared = {len(once)}, saved = {len(saved)};\n"
        f"  static constexpr bool shares_gradient = {_bool(shared)}, mixes_units = {_bool(mixes_units(cell))};\n"
        f"  static constexpr bool diagonal = {_bool(cell.recurrence == 'diagonal')};\n\n" + maths + functions
    ).rstrip() + "\n};\n"


def _prepare(traced: Trace, once: tuple[Expression, ...], input_names: dict[tuple[str, str], str]) -> str:
    """The functions from the per-unit parameters to what follows from them alone, and back from its gradients."""
    gradients = differentiate_prepared(traced, once)
    input_names = input_names | {("d", str(k)): f"d[{k}]" for k in range(len(once))}
    return _function(
        "void prepare",
        "const V* p, V* ready",
        _statements(reachable(once), input_names, {}),
        [f"ready[{k}] = {_name(node)};" for k, node in enumerate(once)],
    ) + _function(
        "void prepare_backward",
        "const V* p, const V* d, V* dp",
        _statements(reachable(gradients), input_names, {}),
        [f"dp[{k}] = {_name(node)};" for k, node in enumerate(gradients)],
    )


def digest(cell: Cell) -> str:
    """The same for cells whose C++ is the same."""
    return hashlib.sha256(write_cell(cell, "Cell").encode()).hexdigest()[:16]


def _backward(
    name: str,
    d: str,
    gradients: Gradients,
    shared: bool,
    input_names: dict[tuple[str, str], str],
    loaded: dict[Expression, str],
) -> str:
    """The function from the gradients d of the results to those of the inputs."""
    results = [("dx", k, node) for k, node in enumerate(gradients.x)]
    if not shared:
        results += [("du", k, node) for k, node in enumerate(gradients.u)]
    results += [("ds", k, node) for k, node in enumerate(gradients.s)]
    results += [("dp", k, node) for k, node in enumerate(gradients.p)]
    return _function(
        f"void {name}",
        f"const V* x, const V* u, const V* saved, const V* s, const V* p, {d}, V* dx, V* du, V* ds, V* dp",
        _statements(reachable([node for _, _, node in results], stop=frozenset(loaded)), input_names, loaded),
        [f"{group}[{k}] = {_name(node)};" for group, k, node in results],
    )


def _function(name: str, parameters: str, statements: Iterable[str], results: Iterable[str]) -> str:
    unused = ", ".join(f"(void){parameter.split()[-1].lstrip('*')}" for parameter in parameters.split(", "))
    body = "\n".join(f"    {line}" for line in [f"{unused};", *statements, *results])
    return f"  template <class V>\n  static inline {name}({parameters}) {{\n{body}\n  }}\n\n"


def _input_names(cell: Cell) -> dict[tuple[str, str], str]:
    names: dict[str, Sequence[str]] = {
        "x": cell.gates,
        "u": cell.gates,
        "s": cell.state,
        "d": cell.state,
        "p": cell.per_unit,
    }
    return {(group, name): f"{group}[{k}]" for group, in_group in names.items() for k, name in enumerate(in_group)}


def _statements(
    nodes: Iterable[Expression], input_names: dict[tuple[str, str], str], loaded: dict[Expression, str]
) -> list[str]:
    lines = []
    for node in nodes:
        kind = "auto" if node.op in _COMPARISONS else "V"
        lines.append(f"const {kind} {_name(node)} = {loaded[node] if node in loaded else _value(node, input_names)};")
    return lines


def _value(node: Expression, input_names: dict[tuple[str, str], str]) -> str:
    names = [_name(argument) for argument in node.arguments]
    if node.op == "input":
        return input_names[node.label]
    if node.op == "constant":
        return f"splat<V>({node.label!r})"
    if node.op in _OPERATORS:
        return f"{names[0]} {_OPERATORS[node.op]} {names[1]}"
    if node.op == "neg":
        return f"-{names[0]}"
    if node.op == "where":
        return f"{names[0]} ? {names[1]} : {names[2]}"
    return f"vector_{node.op}({', '.join(names)})"


def _name(node: Expression) -> str:
    return f"n{node.index}"


def _bool(value: bool) -> str:
    return "true" if value else "false"
