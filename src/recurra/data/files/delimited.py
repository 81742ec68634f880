"""Tables of comma- or tab-separated text with a header. Each row knows the line on which it begins."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from recurra.errors import DataError

__all__ = ["Delimited", "delimited_rows", "missing_column"]

_QUOTED = re.compile(r'"([^"]*+(?:""[^"]*+)*+)"')
_MOST_NAMES = 20
_LONGEST_NAME = 40


@dataclass(frozen=True)
class Delimited:
    """A table of text.

    Attributes:
        names: the column names.
        rows: the fields of each row, one per column.
        lines: the line on which each row begins, from 1.
        source: the path of the file.
    """

    names: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]
    source: str

    def position(self, name: str, option: str) -> int:
        """The index of a column, from 0.

        Args:
            name: the column's name.
            option: the command-line option that names this column, for the message.

        Raises:
            DataError: the column is missing, or occurs twice. The message lists the columns.
        """
        if name not in self.names:
            hint = " The first line must hold the names of the columns."
            raise missing_column(self.source, name, self.names, option, hint)
        if self.names.count(name) > 1:
            raise DataError(f"{self.source}: the column {name!r} occurs twice. Rename one.")
        return self.names.index(name)


def missing_column(location: str, name: str, there: Sequence[str], option: str, hint: str = "") -> DataError:
    """The error to raise for a missing column.

    Args:
        location: the file, and the line if one is at fault.
        name: the missing column.
        there: the names of the columns that exist.
        option: the command-line option that names the column.
        hint: another sentence for the message, with a space before it.
    """
    close = get_close_matches(name.lower(), [other.lower() for other in there], n=1)
    guess = next((other for other in there if close and other.lower() == close[0]), None)
    shown = [repr(other[:_LONGEST_NAME]) + "..." * (len(other) > _LONGEST_NAME) for other in there[:_MOST_NAMES]]
    listed = ", ".join(shown) + (f" and {len(there) - _MOST_NAMES} more" if len(there) > _MOST_NAMES else "")
    return DataError(
        f"{location}: no column {name!r}; there are {listed or 'none'}."
        + (f" Did you mean {guess!r}?" if guess else "")
        + f" Name it with {option}.{hint}"
    )


def delimited_rows(text: str, delimiter: str, source: str) -> Delimited:
    """Split a table into fields. Blank lines are skipped.

    Quotes follow RFC 4180: a field in double quotes may contain delimiters, newlines and doubled quotes. Many
    tab-separated files use quotes as plain text. If every line of such a file has as many tabs as the header, each line
    is one row, and a field is quoted only if it begins and ends with a quote.

    Raises:
        DataError: a quote is misplaced, or a row does not have as many fields as the header.
    """
    if '"' not in text or (delimiter == "\t" and _is_row_a_line(text)):
        numbered = enumerate(text.removesuffix("\n").split("\n"), start=1)
        parts = ((line_number, line.split(delimiter)) for line_number, line in numbered if line)
        records = ((line_number, [_without_quotes(field) for field in row]) for line_number, row in parts)
    else:
        records = _quoted_records(text, delimiter, source)
    _, header = next(records)
    rows, lines = [], []
    for line_number, row in records:
        if len(row) != len(header):
            what = "tabs" if delimiter == "\t" else f"{delimiter!r}"
            raise DataError(
                f"{source}, line {line_number}: {len(row)} fields, expected {len(header)} as in the header. "
                f"Correct the line, or put fields that contain {what} in double quotes."
            )
        rows.append(row)
        lines.append(line_number)
    return Delimited(tuple(name.strip() for name in header), rows, lines, source)


def _is_row_a_line(text: str) -> bool:
    return len({line.count("\t") for line in text.split("\n") if line}) == 1


def _without_quotes(field: str) -> str:
    match = _QUOTED.fullmatch(field)
    return match[1].replace('""', '"') if match else field


def _quoted_records(text: str, delimiter: str, source: str) -> Iterator[tuple[int, list[str]]]:
    plain = re.compile(rf"[^{delimiter}\n]*+")
    row: list[str] = []
    at, line, begin, end = 0, 1, 0, len(text.removesuffix("\n"))
    first = 1
    while at <= end:
        match = (_QUOTED if text.startswith('"', at) else plain).match(text, at)
        if match is None:
            raise DataError(f"{source}, line {line}: a quote opens here and is not closed. Close or double it.")
        after = match.end()
        if after < end and text[after] not in (delimiter, "\n"):
            raise DataError(
                f"{source}, line {line}: text after a closing quote ({text[after : after + 20]!r}), expected "
                f"{delimiter!r} or the end of the line. Double the quotes inside a quoted field."
            )
        row.append(match[1].replace('""', '"') if match.re is _QUOTED else match[0])
        line += text.count("\n", at, after)
        at = after + 1
        if after < end and text[after] == delimiter:
            continue
        if after > begin:
            yield first, row
        line += 1
        row, begin, first = [], at, line
