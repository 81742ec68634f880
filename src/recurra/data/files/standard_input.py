"""Text from standard input."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recurra.data.files.text_file import TextForm, text_and_form
from recurra.errors import DataError

__all__ = [
    "SOURCE",
    "STANDARD_INPUT",
    "is_standard_input",
    "read_standard_input",
    "refuse_standard_input",
    "standard_input_lines",
]

STANDARD_INPUT = "-"
SOURCE = "standard input"


def is_standard_input(data: Any) -> bool:
    """Whether data are standard input: the path "-". A file of this name is "./-"."""
    return isinstance(data, str | Path) and str(data) == STANDARD_INPUT


def refuse_standard_input(data: Any, read: str) -> None:
    """Refuse standard input where data are read from files alone.

    Args:
        data: what the caller passed.
        read: what is read and from what, such as "music is read from files that end in .mid or .abc".

    Raises:
        DataError: the data are standard input.
    """
    if is_standard_input(data):
        raise DataError(f"{SOURCE}: {read}, not from a pipe. Write it to such a file, and name that.")


def read_standard_input() -> tuple[str, TextForm]:
    """Read standard input to its end, as `read_text_and_form` reads a file.

    Raises:
        DataError: it is empty, binary, or not UTF-8.
    """
    data = sys.stdin.buffer.read()
    if not data.strip():
        raise DataError(f"{SOURCE}: it holds no text. Pipe a text into the command, or name a file.")
    return text_and_form(data, SOURCE)


def standard_input_lines() -> Iterator[str]:
    """The lines of standard input as they come, without their ends. A byte-order mark is removed.

    Raises:
        DataError: a line is not UTF-8.
    """
    for line_number, line in enumerate(sys.stdin.buffer, start=1):
        try:
            text = line.decode("utf-8-sig" if line_number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise DataError(f"{SOURCE}, line {line_number}: the text is not UTF-8. Convert it to UTF-8.") from None
        yield text.rstrip("\r\n")
