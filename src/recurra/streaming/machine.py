"""A program handed to the engine: its weights packed once, its operations as records."""

from typing import Any

from recurra.cells import Cell
from recurra.errors import BackendError
from recurra.kernels.native.extension import StepEntries, best, instruction_set, is_installed, unsupported_reason
from recurra.kernels.native.steps import WEIGHT_FORMATS
from recurra.program import Location, Operation, Program

__all__ = ["engine_name", "fill", "step_entries"]

_SPACES = {"input": 0, "frame": 1, "state": 2, "output": 3}


def fill(machine: Any, program: Program, kinds: dict[str, int], weights: str) -> None:
    """Add the operations of a program to an empty `recurra._native.StepProgram`.

    Raises:
        BackendError: if the engine cannot run a cell of it.
    """
    for operation in program.operations:
        machine._add(
            kinds[operation.kind],
            [_pair(operation.first), _pair(operation.second), _pair(operation.target)],
            [_pair(part) for part in operation.parts],
            operation.size,
            operation.groups,
            operation.kv_heads,
            operation.window,
            operation.number,
            operation.accumulate,
        )
        machine._set_vectors(operation.left, operation.right)
        if operation.weight is not None:
            machine._set_weight(operation.weight, operation.bias, WEIGHT_FORMATS[weights])
        if operation.cell is not None:
            _set_cell(machine, operation, step_entries(operation.cell))


def step_entries(cell: Cell) -> StepEntries:
    """The compiled functions of a cell's step.

    Raises:
        BackendError: if there are none on this machine.
    """
    if not is_installed():
        raise BackendError("a stream needs the C++ extension; install recurra without RECURRA_NO_EXTENSION")
    if reason := unsupported_reason(cell):
        raise BackendError(f"a stream of {cell!r} needs its compiled equations: {reason}")
    return best(cell).step


def engine_name() -> str:
    """The engine's build for this machine's instruction set."""
    name = instruction_set()
    return "baseline" if name == "neon" else name


def _set_cell(machine: Any, operation: Operation, entries: StepEntries) -> None:
    machine._set_cell(
        entries.update if operation.kind == "update" else entries.modulate,
        entries.prepare,
        entries.prepared,
        operation.per_unit,
        list(operation.zoneout),
        operation.reads_output,
    )


def _pair(location: Location) -> tuple[int, int]:
    return _SPACES[location.space], location.offset
