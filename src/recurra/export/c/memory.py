"""Where the values of a program lie in C: the fields of the state, and scratch arrays that are used again."""

import sys
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from recurra.export.c.identifiers import identifiers
from recurra.program import NOWHERE, Location, Operation, Program

__all__ = ["Memory", "locations"]


def locations(operation: Operation) -> Iterator[tuple[Location, int, bool]]:
    """The locations that an operation reads or writes, with the number of values, and whether it only reads them."""
    size, groups = operation.size, operation.groups
    match operation.kind:
        case "dense":
            assert operation.weight is not None
            rows, columns = operation.weight.shape
            first, second, target = columns, 0, rows
        case "diagonal":
            first, second, target = size, 0, groups * size
        case "normalise":
            first, second, target = groups * size, 0, groups * size
        case "modulate" | "update":
            assert operation.cell is not None
            gates = len(operation.cell.gates) * size
            first, second, target = gates, gates, size
        case "embed":
            first, second, target = 0, 0, size
        case "mean" | "attend":
            first, second, target = size, 1, size
        case "delay":
            first, second, target = size, 0, groups * size
        case "local_attention":
            own = 2 * operation.kv_heads * size
            first, second, target = groups * size, own, groups * size + operation.window
        case "matrix_memory":
            first, second, target = 3 * groups * size, 2 * groups, groups * size
        case _:
            first, second, target = size, size, size
    for location, values, read_only in (
        (operation.first, first, True),
        (operation.second, second, operation.kind != "mean"),
        (operation.target, target, False),
    ):
        if location != NOWHERE and values:
            yield location, values, read_only


@dataclass
class _Buffer:
    """A range of scratch memory, with the first and the last operation that use it."""

    first: int
    size: int
    begins: int
    ends: int
    slot: int = -1  # the output

    @property
    def end(self) -> int:
        return self.first + self.size


class Memory:
    """The names in C of a program's locations.

    Attributes:
        fields: of the state: the name in C, and the part.
        slots: sizes of the scratch arrays.
    """

    def __init__(self, program: Program) -> None:
        names = identifiers(part.name for part in program.parts)
        self.fields = [*zip(names, program.parts, strict=True)]
        self._offsets = [part.offset for part in program.parts]
        self._buffers = _buffers(program)
        written = _last_of(program, self._buffers)
        self.slots = _assign([one for one in self._buffers if one is not written])

    def at(self, location: Location) -> str:
        """The expression for a location."""
        if location.space in ("input", "output"):
            return _moved(location.space, location.offset)
        if location.space == "state":
            name, part = self.fields[bisect_right(self._offsets, location.offset) - 1]
            return _moved(f"state->{name}", location.offset - part.offset)
        buffer = next(one for one in self._buffers if one.first <= location.offset < one.end)
        name = "output" if buffer.slot < 0 else slot_name(buffer.slot)
        return _moved(name, location.offset - buffer.first)

    def pieces(self, operation: Operation) -> Iterator[tuple[Location, Location, int]]:
        """A copy as copies between two locations of so many values, each within one part of the state."""
        done = 0
        while done < operation.size:
            first, target = (
                Location(location.space, location.offset + done) for location in (operation.first, operation.target)
            )
            size = min(operation.size - done, self._room(first), self._room(target))
            yield first, target, size
            done += size

    def _room(self, location: Location) -> int:
        """The values from a location to the end of its part of the state."""
        if location.space != "state":
            return sys.maxsize
        part = self.fields[bisect_right(self._offsets, location.offset) - 1][1]
        return part.offset + part.size - location.offset


def slot_name(slot: int) -> str:
    """The name of a scratch array."""
    return f"v{slot}"


def _moved(array: str, by: int) -> str:
    return f"{array} + {by}" if by else array


def _buffers(program: Program) -> list[_Buffer]:
    """The ranges of scratch memory that are used together, in the order of their first use."""
    merged: list[_Buffer] = []
    for k, operation in enumerate(program.operations):
        for location, size, _ in locations(operation):
            if location.space != "frame":
                continue
            new = _Buffer(location.offset, size, k, k)
            for other in [one for one in merged if one.first < new.end and new.first < one.end]:
                merged.remove(other)
                first = min(new.first, other.first)
                new = _Buffer(first, max(new.end, other.end) - first, min(new.begins, other.begins), k)
            merged.append(new)
    return sorted(merged, key=lambda one: (one.begins, one.first))


def _last_of(program: Program, buffers: list[_Buffer]) -> _Buffer | None:
    """The buffer that the last operation copies to the output, if it can be the output itself from the first."""
    *others, last = program.operations
    if last.kind != "copy" or last.first.space != "frame" or last.target != Location("output", 0):
        return None
    if any(location.space == "output" for operation in others for location, _, _ in locations(operation)):
        return None
    whole = (last.first.offset, last.size)
    return next((one for one in buffers if (one.first, one.size) == whole), None)


def _assign(buffers: list[_Buffer]) -> list[int]:
    """Gives each buffer an array that is free while it is used; the sizes of the arrays."""
    sizes: list[int] = []
    free_after: list[int] = []
    for buffer in buffers:
        free = [slot for slot, ends in enumerate(free_after) if ends < buffer.begins]
        if free:
            # The smallest that holds it, else the largest.
            slot = min(free, key=lambda one: (sizes[one] < buffer.size, abs(sizes[one] - buffer.size)))
        else:
            slot = len(sizes)
            sizes.append(0)
            free_after.append(0)
        sizes[slot] = max(sizes[slot], buffer.size)
        free_after[slot] = buffer.ends
        buffer.slot = slot
    return sizes
