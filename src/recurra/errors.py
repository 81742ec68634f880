"""The errors Recurra raises. Each message names the culprit and the way out."""

import copyreg
from typing import Any

__all__ = [
    "BackendError",
    "CellError",
    "CompilerError",
    "DataError",
    "InPlaceError",
    "MissingExtraError",
    "ParameterError",
    "RecurraError",
    "RunError",
    "ShapeError",
    "StaleBuildError",
]


class RecurraError(Exception):
    """Base of every error raised on purpose by Recurra."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Rebuilt from the message alone, so that an error crosses from a worker process to its parent.
        return copyreg.__newobj__, (type(self), *self.args)  # type: ignore[attr-defined]


class ParameterError(RecurraError, ValueError):
    """A parameter has a value it may not have.

    Args:
        name: the parameter as the caller wrote it.
        expected: what would have been accepted.
        got: the value received.
        hint: the way out, where it does not follow from `expected`.
    """

    def __init__(self, name: str, expected: str, got: object, hint: str = "") -> None:
        super().__init__(f"{name}: expected {expected}, got {got!r}." + (f" {hint}" if hint else ""))


class ShapeError(RecurraError, ValueError):
    """A tensor has the wrong shape, dtype or device."""

    def __init__(self, name: str, expected: str, got: object, hint: str = "") -> None:
        super().__init__(f"{name}: expected {expected}, got {got}." + (f" {hint}" if hint else ""))


class DataError(RecurraError, ValueError):
    """A file or frame cannot be used as it is; the message names the file, the series and the row."""


class BackendError(RecurraError, RuntimeError):
    """A backend asked for by name cannot serve this cell, device or dtype."""


class CellError(RecurraError, ValueError):
    """A cell's equations cannot be compiled; the message names the cell, the line and the way out."""


class InPlaceError(CellError):
    """A cell's equations change what they are given, the state before the step or a projection."""


class CompilerError(RecurraError, RuntimeError):
    """A cell could not be compiled on this machine."""


class StaleBuildError(RecurraError, ImportError):
    """The compiled extension does not fit the Python code beside it.

    Args:
        reason: what differs.
        command: the command that builds or installs the extension anew.
    """

    def __init__(self, reason: str, command: str) -> None:
        super().__init__(f"recurra._native is stale: {reason}. Run: {command}")


class RunError(RecurraError, RuntimeError):
    """A run folder is missing, damaged, or not what the command needs."""


class MissingExtraError(RecurraError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {package}: pip install 'recurra[{extra}]'")
