"""The state of streams: plain numbers outside the model."""

import hashlib
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.errors import ParameterError, StreamError
from recurra.program import Part

try:
    from recurra._native import StepState as _NativeState  # pyright: ignore[reportMissingImports]
except ModuleNotFoundError:
    _NativeState: Any = object

__all__ = ["StreamState"]

_MAGIC = b"RCRSTATE"
_VERSION = 1
# Magic, version, rows, values of a row, the model's hash, the hash of the values.
_HEADER = struct.Struct("<8sIQQ32s32s")


class StreamState(_NativeState):
    """What a stream remembers between steps, of the sequences of a batch.

    A stepper makes one and changes it in place at every step. It holds float32 numbers alone and no part of the model:
    it can be copied, compared, pickled, written as bytes and read again in another process, on another machine.

    Attributes:
        model: the hash of the model's program and parameters that it belongs to, 64 hexadecimal digits.
        rows: B, sequences.
        values: (B, S), a view: what is written to it is the state.
    """

    model: str
    rows: int
    values: NDArray[np.float32]

    def __init__(self, parts: tuple[Part, ...], rows: int, model: str) -> None:
        super().__init__(model, rows, sum(part.size for part in parts))
        self._parts = parts
        self.reset()

    @classmethod
    def from_bytes(cls, content: bytes, parts: tuple[Part, ...], model: str) -> "StreamState":
        """The state of any number of sequences that `to_bytes` wrote.

        Raises:
            StreamError: as `write`.
        """
        values = read_values(content, model, sum(part.size for part in parts))
        state = cls.__new__(cls)
        _NativeState.__init__(state, model, *values.shape)
        state._parts = parts
        state.values[:] = values
        return state

    @property
    def layout(self) -> tuple[Part, ...]:
        """The names, places and first values of the parts of a sequence."""
        return self._parts

    @property
    def parts(self) -> dict[str, NDArray[np.float32]]:
        """Views of the values by part, (B, size), such as "recurrent.c_l0" for the cells of the first layer."""
        return {part.name: self.values[:, part.offset : part.offset + part.size] for part in self._parts}

    def reset(self, rows: Sequence[int] | None = None) -> None:
        """Begin anew: all sequences, or those of these indices."""
        chosen = slice(None) if rows is None else list(rows)
        for part in self._parts:
            self.values[chosen, part.offset : part.offset + part.size] = part.first_values

    def copy(self) -> "StreamState":
        """A state of its own with the same values."""
        return self.select(range(self.rows))

    def select(self, rows: Sequence[int]) -> "StreamState":
        """A state with the sequences of these indices, in their order; an index may occur more than once."""
        other = StreamState.__new__(StreamState)
        _NativeState.__init__(other, self.model, len(rows), self.values.shape[1])
        other._parts = self._parts
        other.values[:] = self.values[list(rows)]
        return other

    @staticmethod
    def join(states: Sequence["StreamState"]) -> "StreamState":
        """One state with the sequences of several, one after the other.

        Raises:
            ParameterError: for an empty sequence.
            StreamError: if they belong to different models.
        """
        if not states:
            raise ParameterError("states", "one or more states", states)
        for one in states:
            if one.model != states[0].model:
                raise StreamError("states: expected states of one model; these belong to different ones")
        joined = states[0].select([0] * sum(one.rows for one in states))
        joined.values[:] = np.concatenate([one.values for one in states])
        return joined

    def to_bytes(self) -> bytes:
        """The state as bytes: a header with the hash of the model, and little-endian float32 numbers."""
        values = self.values.astype("<f4").tobytes()
        header = (_MAGIC, _VERSION, *self.values.shape, bytes.fromhex(self.model), hashlib.sha256(values).digest())
        return _HEADER.pack(*header) + values

    def write(self, content: bytes) -> None:
        """Take over the values that `to_bytes` wrote.

        Raises:
            StreamError: if the bytes are damaged, or of another model, format or number of sequences.
        """
        self.values[:] = read_values(content, self.model, self.values.shape[1], self.rows)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StreamState):
            return NotImplemented
        return self.model == other.model and np.array_equal(self.values, other.values, equal_nan=True)

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self.to_bytes(), self._parts)

    def __repr__(self) -> str:
        names = ", ".join(f"{part.name} {part.size}" for part in self._parts)
        return f"StreamState({self.rows} sequences: {names or 'nothing'})"


def read_values(content: bytes, model: str, size: int, rows: int | None = None) -> NDArray[np.float32]:
    """The values (B, S) of a state written by `StreamState.to_bytes`, checked.

    Raises:
        StreamError: as `StreamState.write`.
    """
    if len(content) < _HEADER.size or content[: len(_MAGIC)] != _MAGIC:
        raise StreamError("state: these bytes are not the state of a stream")
    _, version, own_rows, own_size, own_model, check = _HEADER.unpack_from(content)
    if version != _VERSION:
        raise StreamError(f"state: expected the format {_VERSION}, got {version}; it was written by another release")
    if own_model.hex() != model:
        raise StreamError(
            f"state: it belongs to another model: its hash begins with {own_model.hex()[:12]}, this model's with "
            f"{model[:12]}. A state serves only the weights and the options that it was made with."
        )
    values = content[_HEADER.size :]
    if len(values) != 4 * own_rows * own_size or hashlib.sha256(values).digest() != check or own_size != size:
        raise StreamError("state: the bytes are damaged or incomplete")
    if rows is not None and own_rows != rows:
        raise StreamError(f"state: expected {rows} sequences, got {own_rows}")
    return np.frombuffer(values, "<f4").reshape(own_rows, own_size).astype(np.float32)


def _restored(content: bytes, parts: tuple[Part, ...]) -> StreamState:
    _, _, _, _, model, _ = _HEADER.unpack_from(content)
    return StreamState.from_bytes(content, parts, model.hex())
