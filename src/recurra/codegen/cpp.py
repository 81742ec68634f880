"""A traced cell written out as C++ for the engine."""

from collections.abc import Iterable, Sequence

from recurra.cells import Cell
from recurra.codegen.derive import saved_for_backward, shares_gradient
from recurra.codegen.differentiate import differentiate
from recurra.codegen.expression import Expression, reachable
from recurra.codegen.trace import trace

__all__ = ["write_cell"]

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
        CellError: where the equations cannot be compiled.
    """
    traced = trace(cell)
    gradients = differentiate(traced)
    saved = saved_for_backward(traced, gradients)
    shared = shares_gradient(traced)
    results = [("dx", k, node) for k, node in enumerate(gradients.x)]
    if not shared:
        results += [("du", k, node) for k, node in enumerate(gradients.u)]
    results += [("ds", k, node) for k, node in enumerate(gradients.s)]
    results += [("dp", k, node) for k, node in enumerate(gradients.p)]
    places = _input_places(cell)
    backward_inputs = reachable([node for _, _, node in results], stop=frozenset(saved))
    needs_x = any(node.op == "input" and node.label[0] == "x" for node in backward_inputs)
    forward_body = _statements(reachable(traced.after), places, {})
    loaded = {node: f"saved[{k}]" for k, node in enumerate(saved)}
    backward_body = _statements(backward_inputs, places, loaded)
    lines = [
        f"struct {name} {{",
        f"  static constexpr int gates = {len(cell.gates)}, parts = {len(cell.state)};",
        f"  static constexpr int per_unit = {len(cell.per_unit)}, saved = {len(saved)};",
        f"  static constexpr bool shares_gradient = {_bool(shared)}, needs_x = {_bool(needs_x)};",
        "",
        "  template <class V>",
        "  static inline void forward(const V* x, const V* u, const V* s, const V* p, V* after, V* kept) {",
        "    (void)x, (void)u, (void)s, (void)p, (void)kept;",
        *forward_body,
        *(f"    after[{k}] = {_name(node)};" for k, node in enumerate(traced.after)),
        *(f"    kept[{k}] = {_name(node)};" for k, node in enumerate(saved)),
        "  }",
        "",
        "  template <class V>",
        "  static inline void backward(const V* x, const V* saved, const V* s, const V* p, const V* d, V* dx, V* du,",
        "                              V* ds, V* dp) {",
        "    (void)x, (void)saved, (void)s, (void)p, (void)d, (void)dx, (void)du, (void)ds, (void)dp;",
        *backward_body,
        *(f"    {group}[{k}] = {_name(node)};" for group, k, node in results),
        "  }",
        "};",
    ]
    return "\n".join(lines) + "\n"


def _input_places(cell: Cell) -> dict[tuple[str, str], str]:
    names: dict[str, Sequence[str]] = {
        "x": cell.gates,
        "u": cell.gates,
        "s": cell.state,
        "d": cell.state,
        "p": cell.per_unit,
    }
    return {(group, name): f"{group}[{k}]" for group, members in names.items() for k, name in enumerate(members)}


def _statements(
    nodes: Iterable[Expression], places: dict[tuple[str, str], str], loaded: dict[Expression, str]
) -> list[str]:
    lines = []
    for node in nodes:
        kind = "auto" if node.op in _COMPARISONS else "V"
        lines.append(f"    const {kind} {_name(node)} = {loaded[node] if node in loaded else _value(node, places)};")
    return lines


def _value(node: Expression, places: dict[tuple[str, str], str]) -> str:
    names = [_name(argument) for argument in node.arguments]
    if node.op == "input":
        return places[node.label]
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
