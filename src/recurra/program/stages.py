"""A model with backward directions as stages: a program that runs forward over a window of steps, then one backward."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

from recurra.errors import StreamError
from recurra.program.operations import Array, Location, Operation, Part, Program, Value

__all__ = ["Reversal", "Stage", "split"]


class Reversal(NamedTuple):
    """Where a program runs backward between the operations of a step.

    Attributes:
        position: operations that come before it.
        value: what the program reads at each step.
        program: of one step, run from the last step of a window to the first.
        target: its output.
        at_end: its state where the window ends with the sequence, (S,), or None.
    """

    position: int
    value: Value
    program: Program
    target: Value
    at_end: Array | None


@dataclass(frozen=True, eq=False)
class Stage:
    """A part of a model that runs over a whole window of steps before the next part does.

    `forward` runs from the first step to the last, and its state is carried from window to window. `backward` then
    reads features of its output from the last step to the first, and begins anew at the end of each window. The next
    stage reads the first features of the output of `forward`, and behind them the output of `backward`.

    Attributes:
        forward: of one step.
        backward: of one step; None: the output of `forward` is the model's.
        passed_on: features of the output of `forward` that the next stage reads.
        first: the first feature of the output of `forward` that `backward` reads.
        at_end: the state of `backward` (S,) where the window ends with the sequence; None: as elsewhere.
    """

    forward: Program
    backward: Program | None = None
    passed_on: int = 0
    first: int = 0
    at_end: Array | None = None


def split(whole: Program, reversals: Sequence[Reversal], frames: Sequence[Value]) -> tuple[Stage, ...]:
    """The stages of a step whose operations are cut at each reversal.

    A stage hands on the vectors that it or an earlier one wrote and a later one reads.

    Args:
        whole: all operations, those that read the output of a reversal too.
        reversals: in the order of their positions.
        frames: the vectors in scratch memory.

    Raises:
        StreamError: if a part of the state changes in one stage and is read in an earlier one, or if a stage after the
            first reads ids.
    """
    return _Split(whole, reversals, frames).stages() if reversals else (Stage(whole),)


class _Split:
    """Vectors are handled as they were assigned, as a whole."""

    def __init__(self, whole: Program, reversals: Sequence[Reversal], frames: Sequence[Value]) -> None:
        self._whole, self._reversals = whole, reversals
        source = Value(Location("input", 0), whole.input_size)
        states = [Value(Location("state", part.offset), part.size) for part in whole.parts]
        self._vectors = {"input": [source], "frame": frames, "state": states}
        bounds = [0, *(one.position for one in reversals), len(whole.operations)]
        self._operations = [whole.operations[a:b] for a, b in pairwise(bounds)]
        # The stage that first writes a vector, and the last stage that reads or writes it.
        self._written, self._touched = {source: 0}, {source: 0}
        # The stage that changes a part of the state, and where the part begins in the state of that stage.
        self._owned: dict[Value, tuple[int, int]] = {}
        self._sizes = [0] * len(self._operations)
        for stage, operations in enumerate(self._operations):
            for operation in operations:
                self._note_written(operation, stage)
            if stage < len(reversals):
                self._written[reversals[stage].target] = self._touched[reversals[stage].target] = stage + 1
                self._touched[self._vector(reversals[stage].value.location)] = stage
        for stage, operations in enumerate(self._operations):
            for operation in operations:
                self._note_read(operation, stage)
                if stage and operation.kind == "embed":
                    raise StreamError("model: expected embeddings to read ids before any backward direction")

    def stages(self) -> tuple[Stage, ...]:
        made: list[Stage] = []
        read: list[Value] = []
        for stage, reversal in enumerate(self._reversals):
            passed_on = [one for one, last in self._touched.items() if self._written[one] <= stage < last]
            source = self._vector(reversal.value.location)
            sent = passed_on if source in passed_on else [*passed_on, source]
            first = sum(one.size for one in sent[: sent.index(source)])
            first += reversal.value.location.offset - source.location.offset
            size = sum(one.size for one in passed_on)
            made.append(Stage(self._program(stage, read, sent), reversal.program, size, first, reversal.at_end))
            read = [*passed_on, reversal.target]
        return (*made, Stage(self._program(len(self._reversals), read, ())))

    def _program(self, stage: int, read: Sequence[Value], sent: Sequence[Value]) -> Program:
        """The forward program of a stage.

        Args:
            stage: its index.
            read: the vectors in its input, one after the other; none: the input is the model's.
            sent: the vectors in its output, one after the other; none: the output is the model's.
        """
        whole, operations, size = self._whole, [], 0
        for one in read:
            target = self._located(one.location, stage)
            operations.append(Operation("copy", Location("input", size), target, one.size))
            size += one.size
        for one in self._operations[stage]:
            first, second, target = (self._located(at, stage) for at in (one.first, one.second, one.target))
            parts = tuple(self._located(part, stage) for part in one.parts)
            operations.append(replace(one, first=first, second=second, target=target, parts=parts))
        output = 0
        for one in sent:
            source = self._located(one.location, stage)
            operations.append(Operation("copy", source, Location("output", output), one.size))
            output += one.size
        return Program(
            tuple(operations),
            size if read else whole.input_size,
            0 if read else whole.vocabulary_size,
            output if sent else whole.output_size,
            whole.frame_size + whole.input_size + whole.state_size,
            tuple(self._parts(stage)),
        )

    def _parts(self, stage: int) -> Iterator[Part]:
        names = dict(zip(self._vectors["state"], self._whole.parts, strict=True))
        for vector, (owner, offset) in self._owned.items():  # in the order of their offsets
            if owner == stage:
                yield names[vector]._replace(offset=offset)

    def _located(self, location: Location, stage: int) -> Location:
        """Where a stage has a location: the model's input, and the state of other stages, are in its scratch memory."""
        if not _is_memory(location) or location.space == "frame" or (location.space == "input" and not stage):
            return location
        if location.space == "input":
            return Location("frame", self._whole.frame_size + location.offset)
        vector = self._vector(location)
        owner, offset = self._owned[vector]
        if owner == stage:
            return Location("state", offset + location.offset - vector.location.offset)
        return Location("frame", self._whole.frame_size + self._whole.input_size + location.offset)

    def _note_written(self, operation: Operation, stage: int) -> None:
        for vector in self._memory(*operation.changes):
            self._written.setdefault(vector, stage)
            self._touched[vector] = stage
            if vector.location.space == "state" and vector not in self._owned:
                self._owned[vector] = stage, self._sizes[stage]
                self._sizes[stage] += vector.size
            elif vector.location.space == "state" and self._owned[vector][0] != stage:
                raise StreamError("model: a state changes both before and after a backward direction")

    def _note_read(self, operation: Operation, stage: int) -> None:
        for vector in self._memory(operation.first, operation.second):
            self._touched[vector] = max(self._touched[vector], stage)
            if vector.location.space == "state" and stage < self._owned[vector][0]:
                raise StreamError("model: a state is read before a backward direction, and changes after it")

    def _memory(self, *locations: Location) -> list[Value]:
        return [self._vector(one) for one in locations if _is_memory(one)]

    def _vector(self, location: Location) -> Value:
        """The vector that a location is in."""
        return next(
            one for one in self._vectors[location.space] if 0 <= location.offset - one.location.offset < one.size
        )


def _is_memory(location: Location) -> bool:
    return location.offset >= 0 and location.space != "output"
