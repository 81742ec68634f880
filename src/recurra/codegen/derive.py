"""Facts that follow from a cell's equations."""

from recurra.cells import Cell
from recurra.codegen.differentiate import differentiate, differentiate_modulated
from recurra.codegen.expression import COMPARISONS, Expression, reachable
from recurra.codegen.trace import Trace

__all__ = ["mixes_units", "prepared", "saved_for_backward", "shares_gradient", "sum_only_gates"]

# Operations that cost far more to compute again than to load.
_EXPENSIVE = frozenset({"cos", "exp", "log", "sigmoid", "sin", "softplus", "sqrt", "tanh", "div"})


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
