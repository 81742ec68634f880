"""A drawing as lines of points, and as the offsets from each point to the next.

Strokes (N, 3), as in the files of sketch-rnn (Ha and Eck 2018): the offset (dx, dy) of a point from the one before it,
and 1 if the pen is lifted after the point. The pen begins at the origin and is down: the first offset is drawn.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from recurra.errors import DataError

__all__ = ["check_line", "check_strokes", "lines_of", "strokes_of"]

_FARTHEST = 1e30  # of a coordinate: sums of offsets, and their squares, are far from the largest numbers


def strokes_of(lines: Sequence[np.ndarray]) -> np.ndarray:
    """The strokes (N, 3) float32 of lines (n, 2) of at least one point each, moved so that the first begins at 0.

    A line of one point is a dot. A drawing that begins with a dot begins with an offset of zero.
    """
    first = lines[0] if len(lines[0]) > 1 else np.repeat(lines[0], 2, axis=0)
    points = np.concatenate([first, *lines[1:]]).astype(np.float64)
    lifted = np.zeros(len(points))
    lifted[np.cumsum([len(first), *map(len, lines[1:])]) - 1] = 1
    return np.column_stack([np.diff(points, axis=0), lifted[1:]]).astype(np.float32)


def lines_of(strokes: np.ndarray) -> list[np.ndarray]:
    """The lines (n, 2) float64 of strokes (N, 3); the first begins at the origin."""
    points = np.zeros((len(strokes) + 1, 2))
    np.cumsum(strokes[:, :2], axis=0, dtype=np.float64, out=points[1:])
    ends = np.flatnonzero(strokes[:, 2]) + 2
    return [line for line in np.split(points, ends) if len(line)]


def check_line(line: np.ndarray, where: str) -> np.ndarray:
    """The line (n, 2). Raises DataError: there is no point, or a coordinate is not finite or beyond 1e30."""
    if not len(line) or not np.isfinite(line).all():
        raise DataError(f"{where}: no points, or one that is not finite.")
    if np.abs(line).max() > _FARTHEST:
        raise DataError(f"{where}: a coordinate is {np.abs(line).max():g}, expected at most {_FARTHEST:g}. Scale it.")
    return line


def check_strokes(strokes: Any, where: str) -> np.ndarray:
    """Strokes as an array (N, 3) float32.

    Args:
        strokes: an array or nested lists.
        where: where they stand, for messages.

    Raises:
        DataError: the shape is another, there are no points, or a value is not one of strokes.
    """
    array: np.ndarray = np.zeros(0, dtype=object)
    with suppress(ValueError):
        array = np.asarray(strokes)
    if array.dtype.kind not in "biuf" or array.ndim != 2 or array.shape[1] != 3 or not len(array):
        got = f"{array.dtype} {array.shape}" if array.dtype.kind != "O" else type(strokes).__name__
        raise DataError(f"{where}: expected numbers (N, 3) of at least one point (dx, dy, pen), got {got}.")
    check_line(array[:, :2].astype(np.float64), where)
    array = array.astype(np.float32)
    if not np.isin(array[:, 2], (0, 1)).all():
        raise DataError(f"{where}: the pen's column has values other than 0 and 1.")
    return array
