"""A cell's `update`, traced to a graph."""

import inspect
import linecache
import traceback
from dataclasses import dataclass
from functools import cache, partial

from recurra.cells import Cell, Gates, PerUnit, State
from recurra.codegen.expression import Expression, Graph
from recurra.errors import CellError

__all__ = ["Trace", "check_by_unit", "new_trace", "trace"]


@dataclass(frozen=True)
class Trace:
    """The equations of a cell as a graph.

    Attributes:
        cell: the cell that was traced.
        graph: the graph that holds the nodes.
        after: each part of the state after a step, in the order of `cell.state`.
        modulated: what the recurrent weights of the second-stage gates multiply, or None.
    """

    cell: Cell
    graph: Graph
    after: tuple[Expression, ...]
    modulated: Expression | None = None

    @property
    def results(self) -> tuple[Expression, ...]:
        """All that a step computes."""
        return self.after if self.modulated is None else (*self.after, self.modulated)


@cache
def trace(cell: Cell) -> Trace:
    """`new_trace`, cached for each cell. Derivatives of it add nodes to its graph."""
    return new_trace(cell)


def new_trace(cell: Cell) -> Trace:
    """Run `update` on symbols, in a graph that holds nothing else.

    Raises:
        CellError: naming the cell and the line, for anything that cannot be compiled.
    """
    graph = Graph()

    def group(kind: str, names: tuple[str, ...]) -> dict[str, Expression]:
        return {name: graph.input(kind, name) for name in names}

    inputs = Gates(**group("x", cell.gates))
    recurrent = group("u", cell.gates if cell.recurrence != "none" else ())
    before = State(**group("s", cell.state))
    products = {name: partial(graph.product, name) for name in cell.products()}
    parameters = PerUnit(**group("p", cell.per_unit), **products)
    modulated = None
    try:
        if cell.second_stage_gates:
            first_stage = {name: node for name, node in recurrent.items() if name not in cell.second_stage_gates}
            modulated = graph.make("add", cell.modulated(inputs, Gates(**first_stage), before, parameters), 0.0)
        state = cell.update(inputs, Gates(**recurrent), before, parameters)
        if not isinstance(state, State) or not vars(state).keys() >= {*cell.state}:
            wanted = ", ".join(f"{part}=..." for part in cell.state)
            raise CellError(f"it returns {state!r}; return State({wanted}).")
        after = tuple(graph.make("add", getattr(state, part), 0.0) for part in cell.state)
    except CellError as error:
        message = f"{type(cell).__name__}.update{_location(cell, error)} cannot be compiled: {error}"
        raise type(error)(message) from error
    except Exception as error:
        named = isinstance(error, AttributeError) and isinstance(error.obj, Gates | State | PerUnit)
        hint = "" if named else " Use operators and the functions of recurra.ops."
        raise CellError(
            f"{type(cell).__name__}.update{_location(cell, error)} cannot be compiled: {error}.{hint}"
        ) from error
    return Trace(cell, graph, after, modulated)


def check_by_unit(cell: Cell) -> None:
    """Refuse a cell that is not computed unit by unit: what is compiled are loops over units, between two products.

    Raises:
        CellError: naming the cell's own products, or what has another size than H.
    """
    for names, what in ((cell.products(), "products of its own"), (cell.widths(), "other sizes than H")):
        if names:
            raise CellError(f"{cell!r} has {what} ({', '.join(names)}), and runs on the reference kernel")


def _location(cell: Cell, error: Exception) -> str:
    """The line of `update` at which an error arose, the deepest; its first line if what it returned is at fault."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.name in ("update", "modulated")]
    if frames:
        return f" ({frames[-1].filename}:{frames[-1].lineno}: {frames[-1].line})"
    code = getattr(inspect.unwrap(type(cell).update), "__code__", None)
    if code is None:
        return ""
    line = linecache.getline(code.co_filename, code.co_firstlineno).partition("  #")[0].strip()
    return f" ({code.co_filename}:{code.co_firstlineno}: {line})"
