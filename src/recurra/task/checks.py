"""Checks of arguments that several tasks have."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from recurra.errors import ParameterError

__all__ = ["check_cell", "check_ending", "check_one_of"]


def check_cell(name: str, value: str) -> None:
    """Refuse what is not the name of a cell. Raises ParameterError."""
    from recurra.cells import find_cell

    find_cell(value)


def check_ending(ending: str) -> Callable[[str, str | Path], None]:
    """A check of an option that names a file: it raises ParameterError for one with another ending."""

    def check(name: str, value: str | Path) -> None:
        if Path(value).suffix.lower() != ending:
            raise ParameterError(name, f"a file ending in {ending}", str(value))

    return check


def check_one_of(data: Any, text: str | None) -> None:
    """Refuse data beside a single text, and neither of them. Raises ParameterError."""
    if (data is None) == (text is None):
        got = "neither" if text is None else "both"
        expected = "data (--data FILE, or - for standard input) or a text (--text TEXT), one of the two"
        raise ParameterError("data", expected, got)
