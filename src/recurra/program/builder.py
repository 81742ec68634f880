"""The program of a model's step, put together operation by operation."""

from typing import Any

import numpy as np
import torch

from recurra.errors import StreamError
from recurra.program.operations import NOWHERE, Array, Kind, Location, Operation, Part, Program, Value
from recurra.program.stages import Reversal, Stage, split

__all__ = ["Builder", "as_array"]

_ALIGNMENT = 16  # values: a cache line


def as_array(tensor: torch.Tensor) -> Array:
    """A parameter as a contiguous float32 array, a copy."""
    return np.array(tensor.detach().cpu().float().numpy(), dtype=np.float32, order="C")


class Builder:
    """Collects the operations of a step, and assigns locations to their values.

    Args:
        input_size: I, features of a step's input. None: the first operation that reads it says so.
        looks_ahead: whether steps are run in windows, so that a direction can begin at the window's end.
        reads_elapsed: whether the input of a layer that is the whole model ends with the times since the last step.

    Attributes:
        input: the value of the step's input. Its size is 0 until it is known.
    """

    def __init__(self, input_size: int | None = None, looks_ahead: bool = False, reads_elapsed: bool = False) -> None:
        self.input = Value(Location("input", 0), input_size or 0)
        self.looks_ahead = looks_ahead
        self.reads_elapsed = reads_elapsed
        self._vocabulary_size = 0
        self._operations: list[Operation] = []
        self._parts: list[Part] = []
        self._reversals: list[Reversal] = []
        self._blocks: list[Value] = []
        self._frame_size = 0
        self._state_size = 0

    @property
    def num_parts(self) -> int:
        """Parts of the state so far."""
        return len(self._parts)

    def parts_from(self, first: int) -> list[Value]:
        """The parts of the state from the `first` on."""
        return [Value(Location("state", part.offset), part.size) for part in self._parts[first:]]

    def state_so_far(self) -> Value:
        """All parts of the state, one after the other."""
        return Value(Location("state", 0), self._state_size)

    def require(self, value: Value, size: int, name: str) -> Value:
        """The value, which must have `size` features; the input's size is learned from this.

        Raises:
            StreamError: if it has another size.
        """
        if value.location == self.input.location and not value.size:
            if not self.input.size:
                self.input = Value(value.location, size)
            value = self.input
        if value.size != size or (value == self.input and self._vocabulary_size):
            got = f"an id of {self._vocabulary_size}" if self._vocabulary_size else f"{value.size}"
            raise StreamError(f"{name or 'the model'}: expected {size} features, got {got}")
        return value

    def require_id(self, value: Value, vocabulary_size: int, name: str) -> None:
        """Say that the input of a step is an id from 0 to V - 1.

        Raises:
            StreamError: if the value is not the input, or if the input is known as something else.
        """
        known = self._vocabulary_size or vocabulary_size
        if value.location != self.input.location or self.input.size > 1 or known != vocabulary_size:
            raise StreamError(f"{name or 'the model'}: an embedding reads the input of the model, and alone")
        self.input = Value(value.location, 1)
        self._vocabulary_size = vocabulary_size

    def frame(self, size: int) -> Value:
        """Scratch memory for a vector."""
        value = Value(Location("frame", self._frame_size), size)
        self._blocks.append(value)
        self._frame_size += -(-size // _ALIGNMENT) * _ALIGNMENT
        return value

    def state(self, name: str, size: int, initial: float | tuple[float, ...] = 0.0) -> Value:
        """A part of the state."""
        value = Value(Location("state", self._state_size), size)
        self._parts.append(Part(name, self._state_size, size, initial))
        self._state_size += size
        return value

    def emit(
        self,
        kind: Kind,
        first: Value | None,
        target: Value,
        *,
        size: int | None = None,
        second: Value | None = None,
        parts: tuple[Value, ...] = (),
        **options: Any,
    ) -> Value:
        """Add an operation, see `Operation`; returns its target."""
        self._operations.append(
            Operation(
                kind,
                NOWHERE if first is None else first.location,
                target.location,
                target.size if size is None else size,
                NOWHERE if second is None else second.location,
                parts=tuple(part.location for part in parts),
                **options,
            )
        )
        return target

    def dense(self, value: Value, weight: Array, bias: Array | None, target: Value | None = None) -> Value:
        """weight value + bias, in new scratch memory if there is no `target`."""
        to = self.frame(len(weight)) if target is None else target
        return self.emit("dense", value, to, weight=weight, bias=bias)

    def run_backward(self, value: Value, program: Program, at_end: Array | None = None) -> Value:
        """The output of a program that reads `value` from the last step of a window to the first.

        Args:
            value: what it reads at each step.
            program: of one step.
            at_end: its state (S,) before its first step where the window ends with the sequence; None: as elsewhere.
        """
        target = self.frame(program.output_size)
        self._reversals.append(Reversal(len(self._operations), value, program, target, at_end))
        return target

    def apply(self, kind: Kind, value: Value, second: Value | None = None) -> Value:
        """An operation value by value, in new scratch memory."""
        return self.emit(kind, value, self.frame(value.size), second=second)

    def finish(self, value: Value) -> Program:
        """The program whose output is `value`.

        Raises:
            StreamError: if the size of the input is not known.
        """
        if not self.input.size:
            raise StreamError("input_size: expected the number of features of a step, which the model does not say")
        self.emit("copy", value, Value(Location("output", 0), value.size))
        return Program(
            tuple(self._operations),
            self.input.size,
            self._vocabulary_size,
            value.size,
            self._frame_size,
            tuple(self._parts),
        )

    def finish_stages(self, value: Value) -> tuple[Stage, ...]:
        """The stages of a window whose output is `value`: one more than there are programs that run backward.

        Raises:
            StreamError: if the size of the input is not known, or if the operations have no order of stages.
        """
        return split(self.finish(value), self._reversals, self._blocks)
