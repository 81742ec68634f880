"""One step of a model as a list of operations on locations in memory."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from recurra.cells import Cell

__all__ = ["NOWHERE", "Array", "Kind", "Location", "Operation", "Part", "Program", "Space", "Value"]

Array: TypeAlias = NDArray[np.float32]
Space: TypeAlias = Literal["input", "frame", "state", "output"]
Kind: TypeAlias = Literal[
    "dense",
    "diagonal",
    "normalise",
    "rms_normalise",
    "modulate",
    "update",
    "embed",
    "tanh",
    "sigmoid",
    "relu",
    "silu",
    "gelu",
    "exp",
    "log",
    "scale",
    "add",
    "multiply",
    "blend",
    "softmax",
    "log_softmax",
    "copy",
    "mean",
    "largest",
    "attend",
    "delay",
    "local_attention",
    "matrix_memory",
]


class Location(NamedTuple):
    """Where the values of one row begin.

    Attributes:
        space: the input of the step, scratch memory ("frame"), the state between steps, or the output.
        offset: in values; -1: nowhere.
    """

    space: Space
    offset: int


NOWHERE = Location("frame", -1)


class Value(NamedTuple):
    """A vector of one row: where it begins, and its size."""

    location: Location
    size: int

    def part(self, first: int, size: int) -> "Value":
        """`size` values from the `first` on."""
        return Value(Location(self.location.space, self.location.offset + first), size)


@dataclass(frozen=True, eq=False)
class Operation:
    """One operation of a step, for each row of a batch.

    By kind, with a for `first`, b for `second` and y for `target`:

    - dense: y = weight a + bias; with `accumulate`, y += weight a.
    - diagonal: y[g] = left[g] * a + right[g] for each of `groups` gates g of `size` units; with `accumulate`, y[g] +=.
    - normalise: y[g] = (a[g] - mean) / sqrt(variance + number) * left[g] + right[g], over the `size` units of each of
      `groups` gates.
    - rms_normalise: y = a / sqrt(mean of a^2 + number) * left.
    - modulate: y = what the second-stage gates of `cell` multiply; a is the input projection, b the recurrent one.
    - update: the equations of `cell`, likewise, of `size` units; y is the first part after the step, and the other
      `parts` are replaced. `zoneout` is by part.
    - embed: y = left[id].
    - tanh, sigmoid, relu, silu, gelu, exp, log: of a, value by value.
    - scale: y = left * a + right.
    - add, multiply: of a and b.
    - blend: y = a + number * (b - a).
    - softmax, log_softmax: of a.
    - copy: y = a.
    - mean: y += (a - y) / n, where b counts the steps, n.
    - largest: y = max(y, a).
    - attend: y = the mean of a over all steps so far, weighted by the softmax of the scores b; the first of `parts`
      begins with the largest score, then come the sum of the weights and that of the weighted values.
    - delay: y has `groups` vectors of `size` values; the oldest, the first, is dropped, and a becomes the last.
    - local_attention: y = what `groups` queries a of `size` values, one for each head, attend to in the present step
      and the `window` - 1 before it; b has the keys, then the values, of the `kv_heads` heads of the present step. A
      query is turned by the distance d of a step, whose cosines are left[d] and sines right[d], of `size` / 2 angles
      each. The `parts` are the keys and the values of the steps before, in `window` - 1 places that are used in turn;
      then which place is next, and how many are used. Behind y there are `window` values of scratch memory.
    - matrix_memory: y = what `groups` heads of `size` values read from their memory, as an `MLSTM` does; a has the
      queries, then the keys, then the values of the step, and b the logarithms of the input gates, then the forget
      gates before their sigmoid. The `parts` are memory, normaliser and stabiliser.

    Attributes:
        kind: of the list above.
        first: a.
        second: b, or `NOWHERE`.
        target: y.
        size: values of y, of a gate, or of a vector that is delayed.
        groups: gates, vectors or heads.
        kv_heads: of keys and values, of an attention.
        window: steps that an attention sees.
        parts: of the state of a cell, of an attention or of a memory.
        number: a constant.
        accumulate: whether the result is added to y.
        left: the first vector of parameters.
        right: the second, or None for zero.
        weight: (N, K) of a dense operation.
        bias: (N,), or None for zero.
        cell: of an update.
        per_unit: (P, H), the cell's per-unit parameters, or None.
        zoneout: by part of the state, the fraction of the old value that stays.
        reads_output: whether the first part of the state before the step has H values, which the equations may read.
    """

    kind: Kind
    first: Location
    target: Location
    size: int
    second: Location = NOWHERE
    groups: int = 1
    kv_heads: int = 0
    window: int = 0
    parts: tuple[Location, ...] = ()
    number: float = 0.0
    accumulate: bool = False
    left: Array | None = None
    right: Array | None = None
    weight: Array | None = None
    bias: Array | None = None
    cell: Cell | None = None
    per_unit: Array | None = None
    zoneout: tuple[float, ...] = ()
    reads_output: bool = True

    @property
    def changes(self) -> tuple[Location, ...]:
        """Where it writes; it may also read what was there."""
        counts = (self.second,) if self.kind == "mean" else ()
        return (self.target, *self.parts, *counts)

    def arrays(self) -> Iterator[tuple[str, Array]]:
        """The parameters by name."""
        for name in ("left", "right", "weight", "bias", "per_unit"):
            if (array := getattr(self, name)) is not None:
                yield name, array


class Part(NamedTuple):
    """A named part of a model's state.

    Attributes:
        name: such as "recurrent.h0": the module, the cell's part, the layer.
        offset: in the state of a row.
        size: values.
        initial: of each of its values before the first step; one number stands for all.
    """

    name: str
    offset: int
    size: int
    initial: float | tuple[float, ...] = 0.0

    @property
    def first_values(self) -> Array:
        """The values before the first step, (size,)."""
        return np.broadcast_to(np.array(self.initial, np.float32), self.size)


@dataclass(frozen=True, eq=False)
class Program:
    """One step of a model.

    Attributes:
        operations: in order.
        input_size: I, features of a step's input; 1 if it is an id.
        vocabulary_size: V, if the input is an id from 0 to V - 1; 0 if it is I features.
        output_size: O.
        frame_size: values of scratch memory of a row.
        parts: of the state, one after the other.
    """

    operations: tuple[Operation, ...]
    input_size: int
    vocabulary_size: int
    output_size: int
    frame_size: int
    parts: tuple[Part, ...] = field(default=())

    @property
    def state_size(self) -> int:
        """S, values of the state of a row."""
        return sum(part.size for part in self.parts)

    @property
    def initial(self) -> Array:
        """The state before the first step, (S,)."""
        return np.concatenate([np.zeros(0, np.float32), *(part.first_values for part in self.parts)])

    @property
    def num_weights(self) -> int:
        """The number of values in all weights and vectors of parameters."""
        return sum(array.size for operation in self.operations for _, array in operation.arrays())

    def digest(self) -> str:
        """A hash of the operations and of all parameters, 64 hexadecimal digits: it tells one model from another."""
        hashed = hashlib.sha256()
        sizes = (self.input_size, self.vocabulary_size, self.output_size, self.parts)
        hashed.update(repr(sizes).encode())
        for operation in self.operations:
            shown = {
                one.name: getattr(operation, one.name)
                for one in fields(operation)
                if not isinstance(getattr(operation, one.name), np.ndarray)
            }
            hashed.update(repr(shown).encode())
            for name, array in operation.arrays():
                hashed.update(f"{name} {array.shape}".encode())
                hashed.update(np.ascontiguousarray(array).tobytes())
        return hashed.hexdigest()
