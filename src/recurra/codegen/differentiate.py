"""Reverse-mode differentiation of a traced cell without products: the vector-Jacobian product of one step."""

from dataclasses import dataclass

from recurra.codegen.expression import Expression, Graph, reachable
from recurra.codegen.trace import Trace

__all__ = [
    "Gradients",
    "differentiate",
    "differentiate_modulated",
    "differentiate_parts",
    "differentiate_prepared",
]


@dataclass(frozen=True)
class Gradients:
    """The gradients of one step as nodes, functions of its inputs and of `d`, the gradients of the state after it.

    Attributes:
        x: by gate, of the input projection.
        u: by gate, of the recurrent projection.
        s: by part, of the state before, the recurrent projection aside.
        p: by name, of the per-unit parameters.
    """

    x: tuple[Expression, ...]
    u: tuple[Expression, ...]
    s: tuple[Expression, ...]
    p: tuple[Expression, ...]


def differentiate(trace: Trace, prepared: tuple[Expression, ...] | None = None) -> Gradients:
    """The vector-Jacobian product of a traced cell's `update`.

    If there are `prepared` nodes, the gradients stop at them; `p` of the result is then theirs, in their order.
    """
    seeds = [(node, trace.graph.input("d", part)) for part, node in zip(trace.cell.state, trace.after, strict=True)]
    return _pulled_back(trace, seeds, prepared)


def differentiate_parts(trace: Trace) -> tuple[Gradients, ...]:
    """The gradients of each part of the state after a step alone: the rows of the Jacobian, functions of no `d`."""
    one = trace.graph.constant(1.0)
    return tuple(_pulled_back(trace, [(node, one)], None) for node in trace.after)


def differentiate_modulated(trace: Trace, prepared: tuple[Expression, ...] | None = None) -> Gradients:
    """The vector-Jacobian product of a traced cell's `modulated`, a function of `d.modulated`."""
    assert trace.modulated is not None
    return _pulled_back(trace, [(trace.modulated, trace.graph.input("d", "modulated"))], prepared)


def differentiate_prepared(trace: Trace, prepared: tuple[Expression, ...]) -> tuple[Expression, ...]:
    """The gradients of the per-unit parameters, functions of `d.0`, `d.1` ..., those of the prepared values."""
    seeds = [(node, trace.graph.input("d", str(k))) for k, node in enumerate(prepared)]
    return _pulled_back(trace, seeds, None).p


def _pulled_back(
    trace: Trace,
    seeds: list[tuple[Expression, Expression]],
    prepared: tuple[Expression, ...] | None,
) -> Gradients:
    """The gradients of the inputs, from those of results: `seeds` are pairs of a result and its gradient."""
    graph, cell = trace.graph, trace.cell
    adjoints: dict[Expression, Expression] = {}

    def add(node: Expression, gradient: Expression) -> None:
        adjoints[node] = adjoints[node] + gradient if node in adjoints else gradient

    stop = frozenset(prepared or ())
    nodes = reachable([node for node, _ in seeds], stop)
    for node, gradient in seeds:
        add(node, gradient)
    for node in reversed(nodes):
        if node in adjoints and node.arguments and node not in stop:
            for argument, gradient in zip(node.arguments, _rule(graph, node, adjoints[node]), strict=True):
                if gradient is not None and not argument.is_constant:
                    add(argument, gradient)

    def gradients_of(group: str, names: tuple[str, ...]) -> tuple[Expression, ...]:
        return tuple(adjoints.get(graph.input(group, name), graph.constant(0.0)) for name in names)

    if prepared is None:
        parameters = gradients_of("p", cell.per_unit)
    else:
        parameters = tuple(adjoints.get(node, graph.constant(0.0)) for node in prepared)
    return Gradients(
        gradients_of("x", cell.gates), gradients_of("u", cell.gates), gradients_of("s", cell.state), parameters
    )


def _rule(graph: Graph, node: Expression, g: Expression) -> tuple[Expression | None, ...]:
    """The gradients of a node's arguments from its own, g, with None for each argument without a gradient."""
    zero = graph.constant(0.0)

    def where(condition: Expression, a: Expression, b: Expression) -> Expression:
        return graph.make("where", condition, a, b)

    match node.op, node.arguments:
        case "add", _:
            return g, g
        case "sub", _:
            return g, -g
        case "mul", (a, b):
            return g * b, g * a
        case "div", (_, b):
            return g / b, -(g * node / b)
        case "neg", _:
            return (-g,)
        case "exp", _:
            return (g * node,)
        case "log", (a,):
            return (g / a,)
        case "sqrt", _:
            return (g * 0.5 / node,)
        case "sigmoid", _:
            return (g * (node * (1 - node)),)
        case "tanh", _:
            return (g * (1 - node * node),)
        case "sin", (a,):
            return (g * graph.make("cos", a),)
        case "cos", (a,):
            return (-(g * graph.make("sin", a)),)
        case "softplus", (a,):
            # Linear beyond 20, as torch has it.
            return (where(a > 20, g, g * graph.make("sigmoid", a)),)
        case "relu", (a,):
            return (where(a > 0, g, zero),)
        case "absolute", (a,):
            return (where(a > 0, g, where(a < 0, -g, zero)),)
        case ("minimum" | "maximum") as op, (a, b):
            # At a tie each argument takes half, as in torch.
            half = g * 0.5
            greater = where(a > b, g, where(a < b, zero, half))
            lesser = where(a > b, zero, where(a < b, g, half))
            return (greater, lesser) if op == "maximum" else (lesser, greater)
        case "where", (condition, _, _):
            return None, where(condition, g, zero), where(condition, zero, g)
    return tuple(None for _ in node.arguments)  # comparisons, and floor, whose derivative is zero
