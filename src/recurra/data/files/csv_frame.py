"""CSV text as a frame of strings. The reader of each column interprets them."""

import csv
import io
import re
from typing import TYPE_CHECKING

import polars as pl

from recurra.errors import DataError

if TYPE_CHECKING:
    from _csv import Reader as _Reader

__all__ = ["csv_frame", "csv_header", "csv_rows", "header_line"]

_VALUES = re.compile(r"[\d.,:/+\- TZeE]*[;\t][\d.,:/+\- TZeE;\t]*")
# The first line with which Excel is told the delimiter.
_SEPARATOR = re.compile(r'"?sep=([^"\n])"?[;,\t ]*\n', re.IGNORECASE)


def header_line(text: str) -> int:
    """The line of the column names, from 1: the first, or the second if the first is Excel's, such as `sep=;`."""
    return 2 if _SEPARATOR.match(text) else 1


def csv_header(text: str) -> tuple[list[str], str]:
    """The column names in the first line, and the delimiter: its most frequent one of comma, semicolon and tab.

    In a first line of numbers and dates a comma beside semicolons or tabs is a decimal comma. A line such as `sep=;`
    before it states the delimiter.
    """
    stated = _SEPARATOR.match(text)
    line = text[stated.end() if stated else 0 :].split("\n", 1)[0]
    delimiter = stated[1] if stated else max(";\t" if _VALUES.fullmatch(line) else ",;\t", key=line.count)
    return [name.strip() for name in next(csv.reader([line], delimiter=delimiter))], delimiter


def csv_rows(text: str, delimiter: str) -> "_Reader":
    """An iterator of rows as lists of cells. The header comes first; a line such as `sep=;` is left out."""
    rows = csv.reader(io.StringIO(text), delimiter=delimiter)
    if _SEPARATOR.match(text):
        next(rows)
    return rows


def csv_frame(text: str, source: str, names: list[str] | None = None, lines_before: int = 0) -> pl.DataFrame:
    """Read all columns as strings. Blank cells are null. Row i is line i + 1 after the header, blank lines included.

    Args:
        text: the content of the file.
        source: the name of the file in messages.
        names: of the columns, if the file has no header. Row i is one line earlier then. None: the header has them.
        lines_before: lines of the file between its header and the rows of `text`, for messages.

    Raises:
        DataError: the header is missing or has a name twice, or a line has more cells than the header.
    """
    header, delimiter = csv_header(text)
    header = header if names is None else names
    line = header_line(text)
    if not any(header):
        raise DataError(f"{source}, line {line}: blank, expected the column names. Remove the lines above them.")
    twice = sorted({repr(name) for name in header if name and header.count(name) > 1})
    if twice:
        raise DataError(f"{source}, line {line}: the column {', '.join(twice)} occurs twice. Rename one.")
    try:
        frame = pl.read_csv(
            io.BytesIO(text.encode()),
            separator=delimiter,
            infer_schema=False,
            has_header=names is None,
            skip_rows=line - 1,
        )
    except pl.exceptions.PolarsError as error:
        raise DataError(_fault(text, delimiter, len(header), source, str(error), lines_before)) from None
    # Spreadsheets write columns with blank names at the right. These keep the names that polars makes up.
    return frame.rename({old: name for old, name in zip(frame.columns, header, strict=True) if name})


def _fault(text: str, delimiter: str, columns: int, source: str, message: str, lines_before: int) -> str:
    rows = csv_rows(text, delimiter)
    begin = header_line(text)
    for cells in rows:
        if len(cells) > columns:
            hint = " A decimal comma? Write a decimal point." if delimiter == "," else ""
            return (
                f"{source}, line {rows.line_num + lines_before}: {len(cells)} cells, expected {columns} as in the "
                f"first line. Correct the line, or quote cells that contain {delimiter!r}.{hint}"
            )
        if any("\n" in cell for cell in cells):
            return f"{source}, line {begin + lines_before}: a quote that is not closed on its line. Close or remove it."
        begin = rows.line_num + 1
    return f"{source}: not a CSV file ({message.splitlines()[0]})."
