"""The errors that Recurra raises. Each message names the cause and says what to do."""

import copyreg
from typing import Any

__all__ = [
    "BackendError",
    "CellError",
    "CompilerError",
    "DataError",
    "ExportError",
    "InPlaceError",
    "LostContactError",
    "MissingExtraError",
    "ParameterError",
    "ParameterTypeError",
    "RecurraError",
    "RunError",
    "ShapeError",
    "StaleBuildError",
    "StreamError",
]


class RecurraError(Exception):
    """The base class of all errors that Recurra raises on purpose."""

    def __reduce__(self) -> tuple[Any, ...]:
        # An error is pickled as its message alone; a worker process can then send it to its parent.
        return copyreg.__newobj__, (type(self), *self.args)  # type: ignore[attr-defined]


class ParameterError(RecurraError, ValueError):
    """A parameter has an invalid value.

    Args:
        name: the parameter's name, as the caller writes it.
        expected: the values that are accepted.
        got: the value that was received.
        hint: a sentence that says what to do, if this does not follow from `expected`.
    """

    def __init__(self, name: str, expected: str, got: object, hint: str = "") -> None:
        super().__init__(f"{name}: expected {expected}, got {got!r}." + (f" {hint}" if hint else ""))


class ParameterTypeError(ParameterError, TypeError):
    """A parameter has a value of the wrong type, where torch raises a TypeError."""


class ShapeError(RecurraError, ValueError, RuntimeError):
    """A tensor has the wrong shape, dtype or device.

    torch raises a ValueError for some of these and a RuntimeError for others; handlers of either catch this one.
    """

    def __init__(self, name: str, expected: str, got: object, hint: str = "") -> None:
        super().__init__(f"{name}: expected {expected}, got {got}." + (f" {hint}" if hint else ""))


class DataError(RecurraError, ValueError):
    """A file or frame has a fault. The message names the file, the series and the row."""


class BackendError(RecurraError, RuntimeError):
    """A backend that was requested by name does not support this cell, device or dtype."""


class CellError(RecurraError, ValueError):
    """A cell's equations cannot be compiled. The message names the cell and the line, and says what to do."""


class InPlaceError(CellError):
    """A cell's equations modify their arguments in place: the previous state or a projection."""


class CompilerError(RecurraError, RuntimeError):
    """A cell could not be compiled on this machine."""


class StaleBuildError(RecurraError, ImportError):
    """The compiled extension does not fit the Python code beside it.

    Args:
        reason: what differs.
        command: the command that builds or installs the extension again.
    """

    def __init__(self, reason: str, command: str) -> None:
        super().__init__(f"recurra._native is stale: {reason}. Run: {command}")


class StreamError(RecurraError, ValueError):
    """A model cannot run one step at a time, or a state does not belong to it. The message says why."""


class ExportError(RecurraError, ValueError):
    """A model has no form in the format asked for, or what was written does not agree with the model."""


class RunError(RecurraError, RuntimeError):
    """A run folder is missing, damaged, or of the wrong kind for the command."""


class LostContactError(RunError):
    """A process of a distributed run no longer reaches another one. Only the processes that are left can say so."""


class MissingExtraError(RecurraError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {package}: pip install 'recurra[{extra}]'")
