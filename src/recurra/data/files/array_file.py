"""Arrays in one file that is mapped into memory: written in any order, and read without a copy."""

import os
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Layout", "create_arrays", "layout_of", "map_arrays"]

Layout = dict[str, tuple[str, tuple[int, ...]]]
"""The type, as `numpy.dtype.str`, and the shape of each array, by name, in the order of the file."""

_ALIGNMENT = 64  # bytes


def layout_of(arrays: Mapping[str, np.ndarray]) -> Layout:
    """The layout of a file for these arrays."""
    return {name: (array.dtype.str, array.shape) for name, array in arrays.items()}


def create_arrays(path: Path, layout: Layout) -> dict[str, np.ndarray]:
    """Create a file with room for arrays, and map them for writing. Their values are 0.

    Raises:
        OSError: the file cannot be written, or the disk has no room for it.
    """
    size = _begins(layout)[1]
    with path.open("wb") as file:
        if size:
            # Writing to a mapped page that the disk has no room for would kill the process.
            os.posix_fallocate(file.fileno(), 0, size)
    return _map(path, layout, "r+")


def map_arrays(path: Path, layout: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Map the arrays of a file for reading.

    Args:
        path: the file.
        layout: of its arrays; lists may stand for tuples.
    """
    return _map(path, {name: (kind, tuple(shape)) for name, (kind, shape) in layout.items()}, "r")


def _map(path: Path, layout: Layout, mode: Any) -> dict[str, np.ndarray]:
    begins, _ = _begins(layout)
    return {
        name: np.memmap(path, kind, mode, begins[name], shape) if prod(shape) else np.zeros(shape, kind)
        for name, (kind, shape) in layout.items()
    }


def _begins(layout: Layout) -> tuple[dict[str, int], int]:
    """Where each array begins, in bytes, and the size of the file."""
    begins, end = {}, 0
    for name, (kind, shape) in layout.items():
        begins[name] = -(-end // _ALIGNMENT) * _ALIGNMENT
        end = begins[name] + np.dtype(kind).itemsize * prod(shape)
    return begins, end
