"""The constant arrays of a model in C: as source, or as the fields of a binary file."""

import hashlib
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recurra.codegen import literal
from recurra.kernels import BLOCK

__all__ = ["Arrays", "rounded_rows", "stored_blocks"]

_MAGIC = b"RCRWGHT1"
_ORDER = 0x01020304  # of the bytes of a number
#: Magic, order of bytes, size of the file, hash of the arrays.
_HEADER = struct.Struct("<8sII32s")
_PER_LINE = {"float": 8, "int8_t": 20, "int32_t": 12}
_TYPES = {"float32": "float", "int8": "int8_t", "int32": "int32_t"}


class _Array(NamedTuple):
    name: str
    values: NDArray[Any]
    comment: str

    @property
    def type(self) -> str:
        return _TYPES[self.values.dtype.name]


class Arrays:
    """Collects arrays and gives them names.

    Args:
        in_source: whether they stand in the source, and not in a file of their own.
    """

    def __init__(self, in_source: bool) -> None:
        self._in_source = in_source
        self._arrays: list[_Array] = []

    @property
    def in_source(self) -> bool:
        """Whether the arrays stand in the source: the file has none if there are none."""
        return self._in_source or not self._arrays

    @property
    def num_bytes(self) -> int:
        """Of all values."""
        return sum(array.values.nbytes for array in self._arrays)

    def add(self, name: str, values: NDArray[Any], comment: str = "") -> str:
        """Add an array of int8 or int32, or of numbers that are stored as float32; returns the expression for it."""
        kind = values.dtype if values.dtype in (np.int8, np.int32) else np.float32
        self._arrays.append(_Array(name, np.ascontiguousarray(values, kind).reshape(-1), comment))
        return name if self._in_source else f"weights->{name}"

    def definitions(self) -> Iterator[str]:
        """The arrays in C, each a constant."""
        for array in self._arrays:
            comment = f"/* {array.comment} */\n" if array.comment else ""
            yield f"{comment}static const {array.type} {array.name}[{array.values.size}] = {{\n{_rows(array)}}};\n"

    def fields(self) -> Iterator[str]:
        """The fields of the file after its header, in C."""
        for array in self._arrays:
            comment = f" /* {array.comment} */" if array.comment else ""
            yield f"{array.type} {array.name}[{_padded(array)}];{comment}"

    def digest(self) -> bytes:
        """A hash of the arrays: the file of another model or another format has another one."""
        hashed = hashlib.sha256()
        for array in self._arrays:
            hashed.update(f"{array.name} {array.type} {array.values.size} ".encode())
            hashed.update(_little_endian(array))
        return hashed.digest()

    def content(self) -> bytes:
        """The file."""
        body = b"".join(_little_endian(array) for array in self._arrays)
        return _HEADER.pack(_MAGIC, _ORDER, _HEADER.size + len(body), self.digest()) + body


def rounded_rows(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """A weight (N, K) in 8 bits, to the nearest, ties to even, and the scale of each row (N,).

    csrc/step_products.hpp rounds in the same way.
    """
    scales = np.abs(weight).max(axis=1, initial=0).astype(np.float32) / np.float32(127)
    divisors = np.where(scales > 0, scales, np.float32(1))
    return np.rint(weight / divisors[:, None]).astype(np.int8), scales


def stored_blocks(weight: NDArray[Any]) -> tuple[NDArray[np.int32], NDArray[Any]] | None:
    """What is stored of a weight (N, K) if a quarter of its blocks of 16 by 16 are zero, as the engine decides it.

    Returns:
        For each 16 rows the number of runs of columns that are stored, with the first column and the number of columns
        of each; and their values, run after run, each column by column. None: all of the weight is stored.
    """
    rows, columns = weight.shape
    tops, lefts = range(0, rows, BLOCK), range(0, columns, BLOCK)
    stored = [[left for left in lefts if weight[top : top + BLOCK, left : left + BLOCK].any()] for top in tops]
    if sum(map(len, stored)) > 0.75 * len(tops) * len(lefts):
        return None
    runs: list[int] = []
    pieces = []
    for top, starts in zip(tops, stored, strict=True):
        joined: list[list[int]] = []
        for left in starts:
            count = min(BLOCK, columns - left)
            if joined and sum(joined[-1]) == left:
                joined[-1][1] += count
            else:
                joined.append([left, count])
        runs += [len(joined), *(number for run in joined for number in run)]
        pieces += [weight[top : top + BLOCK, first : first + count].T.reshape(-1) for first, count in joined]
    return np.array(runs, np.int32), np.concatenate([weight[:0].reshape(-1), *pieces])


def _padded(array: _Array) -> int:
    """The number of values with which the next field begins at a multiple of four bytes."""
    return -(-array.values.size // 4) * 4 if array.type == "int8_t" else array.values.size


def _little_endian(array: _Array) -> bytes:
    content = array.values.astype(array.values.dtype.newbyteorder("<")).tobytes()
    return content + b"\0" * (-len(content) % 4)


def _rows(array: _Array) -> str:
    texts = [literal(value) for value in array.values] if array.type == "float" else [*map(str, array.values)]
    count = _PER_LINE[array.type]
    lines = (", ".join(texts[first : first + count]) for first in range(0, len(texts), count))
    return "".join(f"    {line},\n" for line in lines)
