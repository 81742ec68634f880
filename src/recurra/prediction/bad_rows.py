"""Rows that have no prediction, with the reason: a line each in a CSV file of their own."""

import csv
import io
import json
from collections.abc import Iterable
from typing import Any

__all__ = ["BAD_ROWS_HEADER", "bad_row_lines"]

BAD_ROWS_HEADER = b"file,row,line,reason,content\n"

BadRow = tuple[str, int, int, str, Any]


def bad_row_lines(rows: Iterable[BadRow]) -> bytes:
    """Lines of CSV in ASCII.

    Args:
        rows: of each the table, the row in it from 1, its line from 1 or 0 if it has none, what is wrong with it, and
            its cells by column or as a list, which are written as JSON.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for file, row, line, reason, content in rows:
        cells = json.dumps(content, default=str)
        writer.writerow([_ascii(file), row, line or "", _ascii(" ".join(reason.split())), cells])
    return text.getvalue().encode()


def _ascii(text: str) -> str:
    """A text in which what UTF-8 cannot encode is escaped."""
    return text.encode("utf-8", "backslashreplace").decode()
