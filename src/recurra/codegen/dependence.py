"""How the state of a cell after a step depends on the state before it, derived from its equations."""

from dataclasses import dataclass
from functools import cache

from recurra.cells import Cell
from recurra.codegen.expression import Expression, reachable
from recurra.codegen.trace import Trace, trace

__all__ = ["Dependence", "dependence"]

_NOT_AFFINE = 2


@dataclass(frozen=True)
class Dependence:
    """How the state after a step depends on the state before it, by what the equations read.

    What cancels, as in `s.h - s.h`, counts as read.

    Attributes:
        reads: for each part after, whether it reads each part before of the same unit (P, P), in the order of
            `Cell.state`, by itself or by the recurrent projection.
        mixes: which units besides itself a unit reads: "none", "heads" (those of its head) or "all".
        affine: whether the carried parts after are A s + b, with s the carried parts before, and A and b free of them.
    """

    reads: tuple[tuple[bool, ...], ...]
    mixes: str
    affine: bool

    @property
    def carried(self) -> tuple[int, ...]:
        """The parts that a step reads. The others are only results: no later step depends on them."""
        return tuple(k for k in range(len(self.reads)) if any(row[k] for row in self.reads))

    @property
    def within_unit(self) -> str:
        """The dependence within one unit: "none", "diagonal" (each carried part on itself alone) or "blocks"."""
        if not self.carried:
            return "none"
        crossed = any(self.reads[i][j] for i in self.carried for j in self.carried if i != j)
        return "blocks" if crossed else "diagonal"

    @property
    def kind(self) -> str:
        """`within_unit` where units do not mix; "heads" or "dense" where they do."""
        return {"none": self.within_unit, "heads": "heads", "all": "dense"}[self.mixes]


@cache
def dependence(cell: Cell) -> Dependence:
    """How the state of a cell after a step depends on the state before it.

    Raises:
        CellError: if the equations cannot be traced.
    """
    traced = trace(cell)
    projected = cell.output_nonlinearity is not None
    reads = [_parts_read(traced, node) for node in traced.after]
    carried = {part for row in reads for part in row}
    degrees = _degrees(traced)
    affine = True
    for part, node in zip(cell.state, traced.after, strict=True):
        degree = degrees[node]
        if part == cell.state[0] and projected and cell.output_nonlinearity != "identity":
            degree *= _NOT_AFFINE
        affine = affine and (part not in carried or degree < _NOT_AFFINE)
    return Dependence(
        tuple(tuple(part in row for part in cell.state) for row in reads), _mixes(traced, bool(carried)), affine
    )


def _mixes(traced: Trace, reads_state: bool) -> str:
    cell = traced.cell
    if not reads_state:
        return "none"
    if cell.output_nonlinearity is not None:
        return "all"
    if cell.widths() or any(node.op == "product" and _parts_read(traced, node) for node in reachable(traced.results)):
        return "all"
    reads_units = any(
        _is_projection(node) and (not _is_second_stage(cell, node) or _modulated_reads(traced))
        for node in reachable(traced.after)
    )
    if not reads_units or cell.recurrence in ("none", "diagonal"):
        return "none"
    # Normalisation takes its mean over all units, and a single head has all.
    apart = cell.recurrence == "block_diagonal" and cell.heads > 1 and not cell.layer_norm
    return "heads" if apart else "all"


def _parts_read(traced: Trace, result: Expression) -> set[str]:
    """The parts of the state before that a result reads, by itself or by the recurrent projection."""
    cell, parts = traced.cell, set[str]()
    for node in reachable([result]):
        if node.op == "input" and node.label[0] == "s":
            parts.add(node.label[1])
        elif _is_second_stage(cell, node):
            parts |= _modulated_reads(traced)
        elif _is_projection(node):
            parts.add(cell.state[0])
    return parts


def _modulated_reads(traced: Trace) -> set[str]:
    """The parts of the state before that the recurrent weights of the second-stage gates read."""
    return set() if traced.modulated is None else _parts_read(traced, traced.modulated)


def _is_projection(node: Expression) -> bool:
    return node.op == "input" and node.label[0] == "u"


def _is_second_stage(cell: Cell, node: Expression) -> bool:
    return _is_projection(node) and node.label[1] in cell.second_stage_gates


def _degrees(traced: Trace) -> dict[Expression, int]:
    """0 for a node that is free of the state, 1 if it is affine in it, else 2."""
    cell = traced.cell
    first = _NOT_AFFINE if cell.layer_norm else 1
    degrees: dict[Expression, int] = {}
    second = 0
    for roots in ([] if traced.modulated is None else [traced.modulated], traced.after):
        for node in reachable(roots):
            if node.op == "input":
                by_group = {"s": 1, "u": second if _is_second_stage(cell, node) else first}
                degrees[node] = by_group.get(node.label[0], 0)
            else:
                degrees[node] = _degree(node, [degrees[argument] for argument in node.arguments])
        if traced.modulated is not None:
            second = degrees[traced.modulated]
    return degrees


def _degree(node: Expression, below: list[int]) -> int:
    match node.op:
        case "constant":
            return 0
        case "add" | "sub" | "neg" | "product":
            return max(below)
        case "mul":
            return min(sum(below), _NOT_AFFINE)
        case "div":
            return below[0] if below[1] == 0 else _NOT_AFFINE
        case "where":
            return max(below[1:]) if below[0] == 0 else _NOT_AFFINE
    return 0 if max(below) == 0 else _NOT_AFFINE
