"""Cells by name, for settings and command lines."""

from importlib import import_module

from recurra.cell_names import NAMES
from recurra.cells.cell import REGISTRY, Cell
from recurra.errors import ParameterError

__all__ = ["find_cell"]


def find_cell(name: str) -> Cell:
    """The cell of a name of `recurra.cells.NAMES`, with its default options, or of "module:Class" for one of your own.

    Raises:
        ParameterError: if there is none.
    """
    if name in REGISTRY:
        return REGISTRY[name]()
    module, colon, attribute = name.partition(":")
    if colon:
        try:
            kind = getattr(import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise ParameterError("cell", "a class that can be imported", name, f"({error})") from error
        if isinstance(kind, type) and issubclass(kind, Cell):
            return kind()
    raise ParameterError("cell", f"one of {', '.join(NAMES)}, or module:Class of a Cell of your own", name)
