"""Facts that follow from a cell's equations."""

from recurra.cells import Cell
from recurra.codegen.differentiate import differentiate, differentiate_modulated
from recurra.codegen.expression import COMPARISONS, Expression, reachable
from recurra.codegen.trace import Trace

__all__ = ["is_affine_in_state", "mixes_units", "prepared", "saved_for_backward", "shares_gradient", "sum_only_gates"]

# Operations that cost far more to compute again than to load.
_EXPENSIVE = frozenset({"exp", "log", "sigmoid", "softplus", "sqrt", "tanh", "div"})


def sum_only_gates(trace: Trace) -> tuple[str, ...]:
    """The gates whose input and recurrent projections are used only as their sum: their gradients agree."""
    users: dict[Expression, list[Expression]] = {}
    for node in reachable(trace.results):
        for argument in node.arguments:
            users.setdefault(argument, []).append(node)
    gates = []
    for gate in trace.cell.gates:
        x, u = trace.graph.input("x", gate), trace.graph.input("u", gate)
        uses = [*users.get(x, []), *users.get(u, [])]
        if all(node.op == "add" and {*node.arguments} == {x, u} for node in uses) and not {x, u} & {*trace.results}:
            gates.append(gate)
    return tuple(gates)


def shares_gradient(trace: Trace) -> bool:
    """Whether the gradients of input and recurrent projections agree in every gate."""
    return set(sum_only_gates(trace)) == set(trace.cell.gates)


def prepared(trace: Trace) -> tuple[Expression, ...]:
    """The values that follow from per-unit parameters alone, if others use them; they are computed once a sequence."""
    nodes = reachable(trace.results)
    alone: set[int] = set()
    for node in nodes:
        if node.op == "input":
            if node.label[0] == "p":
                alone.add(node.index)
        # A comparison is not a value. What it compares is prepared, if others use it.
        elif (
            node.arguments
            and node.op not in COMPARISONS
            and all(a.index in alone or a.is_constant for a in node.arguments)
        ):
            alone.add(node.index)
    used = {a.index for node in nodes if node.index not in alone for a in node.arguments}
    used |= {node.index for node in trace.results}
    return tuple(node for node in nodes if node.index in alone & used)


def mixes_units(cell: Cell) -> bool:
    """Whether the recurrent weights mix units: a step then needs a matrix product."""
    return cell.recurrence in ("dense", "block_diagonal")


def saved_for_backward(trace: Trace) -> tuple[Expression, ...]:
    """The nodes of the forward pass that the backward pass loads. It computes again whatever else it needs.

    The results of expensive operations are saved, and the projections, or their sum if only that is used. States and
    parameters are available anyway. A cell whose units do not mix is bound by memory and saves nothing.
    """
    if not mixes_units(trace.cell):
        return ()
    forward = frozenset(reachable(trace.results))
    once = prepared(trace)
    gradients = [differentiate(trace, once)]
    if trace.modulated is not None:
        gradients.append(differentiate_modulated(trace, once))
    roots = [node for g in gradients for node in (*g.x, *g.u, *g.s, *g.p)]
    projections = {trace.graph.input(group, gate) for group in "xu" for gate in trace.cell.gates}
    summed = {
        trace.graph.make("add", *(trace.graph.input(group, gate) for group in "xu")) for gate in sum_only_gates(trace)
    }
    saved = frozenset(node for node in forward if node.op in _EXPENSIVE or node in projections or node in summed)
    saved -= frozenset(once)
    return tuple(node for node in reachable(roots, stop=saved | frozenset(once)) if node in saved)


def is_affine_in_state(trace: Trace) -> bool:
    """Whether the state after a step is a * state + b, unit by unit, with a and b free of the state.

    Such a cell has no recurrent projection that mixes the units, and can be run as a scan.
    """
    degree: dict[Expression, int] = {}
    diagonal = trace.cell.recurrence == "diagonal"
    for node in reachable(trace.after):
        degree[node] = _degree(node, degree, diagonal)
    return all(degree[node] <= 1 for node in trace.after)


_NOT_AFFINE = 2


def _degree(node: Expression, degree: dict[Expression, int], diagonal: bool) -> int:
    """0 if a node is free of the state, 1 if it is affine in it, else 2, such as for a projection that mixes units."""
    below = [degree[argument] for argument in node.arguments]
    match node.op:
        case "constant":
            return 0
        case "input":
            return {"s": 1, "u": 1 if diagonal else _NOT_AFFINE}.get(node.label[0], 0)
        case "add" | "sub" | "neg":
            return max(below)
        case "mul":
            return min(sum(below), _NOT_AFFINE)
        case "div":
            return below[0] if below[1] == 0 else _NOT_AFFINE
        case "where":
            return max(below[1:]) if below[0] == 0 else _NOT_AFFINE
    return 0 if max(below) == 0 else _NOT_AFFINE
