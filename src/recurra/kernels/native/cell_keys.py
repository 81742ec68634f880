"""Cells by key: an operator takes strings, tensors and numbers, but no cell."""

from typing import Any

import torch

from recurra.cells import Cell
from recurra.errors import BackendError
from recurra.kernels.native import extension
from recurra.kernels.torch_state import constant

__all__ = ["key_of", "known", "register", "unsupported_reason"]

_CELLS: dict[str, Cell] = {}
_KEYS: dict[Cell, str] = {}


def key_of(cell: Cell) -> str:
    """The key of a cell in an operator's arguments: its module, name and fields. The cell is registered by it."""
    if not torch.compiler.is_compiling():
        return _registered(cell)
    if all(isinstance(value, str | bool | None) for value in vars(cell).values()):
        return _key_of_fields(type(cell), tuple(vars(cell).items()))
    # Numbers may be symbols to torch.compile.
    return _key_of_object(cell)


def register(cell: Cell) -> None:
    """Register a cell, by which graphs that were made elsewhere can find it."""
    _registered(cell)


def _registered(cell: Cell) -> str:
    key = _KEYS.get(cell)
    if key is None:
        kind = type(cell)
        shown = ", ".join(f"{name}={value!r}" for name, value in vars(cell).items())
        key = f"{kind.__module__}.{kind.__qualname__}({shown})"
        if key in _CELLS:  # of another class of the same name, as functions and notebooks define them
            key = f"{key} {len(_CELLS)}"
        _CELLS[key] = cell
        _KEYS[cell] = key
    return key


@constant
def _key_of_fields(kind: type[Cell], fields: tuple[tuple[str, Any], ...]) -> str:
    """The key of a cell whose fields torch.compile guards by value: equal cells share their code."""
    cell = object.__new__(kind)
    vars(cell).update(fields)
    return _registered(cell)


@constant
def _key_of_object(cell: Cell) -> str:
    """The key of a cell that torch.compile guards by identity."""
    return _registered(cell)


@constant
def unsupported_reason(key: str) -> str:
    """`extension.unsupported_reason` of a cell by its key, in a form that torch.compile can call."""
    return extension.unsupported_reason(known(key))


def known(key: str) -> Cell:
    if key not in _CELLS:
        raise BackendError(f"the cell {key} is not registered in this process: make a layer of it first")
    return _CELLS[key]
