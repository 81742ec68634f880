"""Tables of delimited text, read row by row from any row on."""

import csv
import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import polars as pl

from recurra.data.files.csv_frame import csv_header, header_line
from recurra.data.files.text_file import is_binary
from recurra.errors import DataError
from recurra.prediction.rows import Piece, Rows
from recurra.prediction.sources import TableFile, open_bytes

__all__ = ["CsvTable"]

_LONGEST_LINE = 1 << 24  # bytes
_QUOTED = re.compile(r'"((?:[^"]|"")*)"')

_Row = tuple[int, int, list[str], str]  # where it ends in bytes, its line, its cells, what is wrong with it


class CsvTable:
    """A table of delimited text in UTF-8, whose first line names the columns. Blank lines are no rows.

    Cells in double quotes follow RFC 4180. In a table separated by tabs each line is a row, and a cell is quoted only
    if it begins and ends with a quote.

    Args:
        file: the table.
        index: of the table among all.

    Attributes:
        names: of the columns.
        delimiter: between cells.

    Raises:
        DataError: the table has no line of names, or is not text.
    """

    def __init__(self, file: TableFile, index: int) -> None:
        self.file, self._index = file, index
        self._stream = open_bytes(file)
        try:
            start, begin = self._read_header_lines()
            self.names, self.delimiter = csv_header(start)
            self._check_names()
        except DataError:
            self.close()
            raise
        self._first = Piece(index, 1, 0, begin, start.count("\n") + 1)

    @property
    def schema(self) -> dict[str, pl.DataType]:
        """The type of each column that has a name: text."""
        return dict.fromkeys((name for name in self.names if name), pl.String())

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def chunks(self, columns: Sequence[str], rows: int, size: int, at: Piece | None = None) -> Iterator[Rows]:
        """Read rows, at most `rows` and about `size` bytes of them together.

        Args:
            columns: to read.
            rows: at most, together.
            size: in bytes, at most but for one row.
            at: where to begin; None: at the first row.

        Raises:
            DataError: the table is not text with lines, or cannot be read.
        """
        at = at or self._first
        begin, first, held = at, at.row, []
        for row in self._rows(at.offset, at.line):
            if not held:
                begin = Piece(self._index, first, 0, begin.offset, row[1])
            held.append(row)
            if len(held) == rows or row[0] - begin.offset >= size:
                yield self._chunk(begin, held, columns)
                first, held = first + len(held), []
                begin = Piece(self._index, first, 0, row[0], 0)
        if held:
            yield self._chunk(begin, held, columns)

    def _chunk(self, begin: Piece, held: list[_Row], columns: Sequence[str]) -> Rows:
        faults = {n: fault for n, (_, _, _, fault) in enumerate(held) if fault}
        data = {}
        for name in columns:
            at = self.names.index(name)
            cells = [None if n in faults else row[2][at] for n, row in enumerate(held)]
            for n, cell in enumerate(cells):
                if cell is not None and not cell.isascii() and _is_damaged(cell):
                    faults[n], cells[n] = f"{name} is not UTF-8", None
            data[name] = pl.Series(cells, dtype=pl.String)
        piece = Piece(self._index, begin.row, len(held), begin.offset, begin.line)
        cells_of = [row[2] for row in held] if columns else []

        def content(position: int) -> dict[str, str] | list[str]:
            cells = cells_of[position]
            return dict(zip(self.names, cells, strict=True)) if len(cells) == len(self.names) else cells

        return Rows(piece, pl.DataFrame(data), faults, [row[1] for row in held], content)

    def _rows(self, offset: int, line: int) -> Iterator[_Row]:
        """The rows from an offset on: where each ends, the line on which it begins, its cells, and its fault."""
        self._seek(offset)
        lines = _Lines(self._stream, self.file.path, offset, line)
        read = self._tabbed if self.delimiter == "\t" else self._quoted
        for begin, cells, fault in read(lines):
            if cells and not fault and len(cells) != len(self.names):
                hint = " A decimal comma? Write a decimal point." if self.delimiter == "," else ""
                fault = f"{len(cells)} cells, expected {len(self.names)} as in the first line.{hint}"
            if cells:
                yield lines.end, begin, cells, fault

    def _tabbed(self, lines: "_Lines") -> Iterator[tuple[int, list[str], str]]:
        for text in lines:
            cells = [_unquoted(cell) for cell in text.rstrip("\r\n").split("\t")]
            yield lines.line - 1, cells if any(cells) or len(cells) > 1 else [], ""

    def _quoted(self, lines: "_Lines") -> Iterator[tuple[int, list[str], str]]:
        while True:
            reader = csv.reader(lines, delimiter=self.delimiter, strict=True)
            try:
                lines.begin_row()
                for cells in reader:
                    yield lines.first, cells, ""
                    lines.begin_row()
                return
            except csv.Error as error:
                # Only the first line is at fault: a quote that is not closed would take in all that follow.
                text = lines.give_back()
                yield lines.first, [text.rstrip("\r\n")], f"the quotes do not fit ({error})"

    def _seek(self, offset: int) -> None:
        try:
            self._stream.seek(offset)
        except (OSError, EOFError) as error:
            raise DataError(f"{self.file.path}: cannot be read ({error}).") from None

    def _check_names(self) -> None:
        """Refuse names that are blank or not distinct. Raises DataError."""
        if not any(self.names):
            raise DataError(f"{self.file.path}: its first line is blank, expected the column names. Remove it.")
        twice = sorted({repr(name) for name in self.names if name and self.names.count(name) > 1})
        if twice:
            raise DataError(f"{self.file.path}: the column {', '.join(twice)} occurs twice. Rename one.")

    def _read_header_lines(self) -> tuple[str, int]:
        """The first line, or two if the first states the delimiter, as `sep=;` does; and where the rows begin."""
        lines = _Lines(self._stream, self.file.path, 0, 1)
        text = next(lines, "").removeprefix("\ufeff")
        if text.startswith(("\udcff\udcfe", "\udcfe\udcff")):
            raise DataError(f"{self.file.path}: the text is UTF-16, expected UTF-8. Save it as UTF-8.")
        if is_binary(text.encode("utf-8", "surrogateescape")):
            raise DataError(f"{self.file.path}: the file is binary, expected text (plain, or compressed as .gz).")
        if _is_damaged(text):
            raise DataError(f"{self.file.path}, line 1: the text is not UTF-8. Save the file as UTF-8.")
        text = text.replace("\r\n", "\n")
        if header_line(text) == 2:
            text += next(lines, "").replace("\r\n", "\n")
        return text if text.endswith("\n") else text + "\n", lines.end


class _Lines:
    """The lines of a stream as `csv.reader` takes them. Those of the row that is being read can be given back."""

    def __init__(self, stream: BinaryIO, source: str, offset: int, line: int) -> None:
        self._stream, self._source = stream, source
        self._of_row: list[bytes] = []
        self._again: list[bytes] = []
        self.end, self.line, self.first = offset, line, line

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        try:
            data = self._again.pop() if self._again else self._stream.readline(_LONGEST_LINE)
        except (OSError, EOFError) as error:
            raise DataError(f"{self._source}, line {self.line}: cannot be read ({error}).") from None
        if not data:
            raise StopIteration
        if len(data) == _LONGEST_LINE:
            raise DataError(f"{self._source}, line {self.line}: longer than {_LONGEST_LINE:,} bytes. Is it a table?")
        self._of_row.append(data)
        self.end += len(data)
        self.line += 1
        return data.decode("utf-8", "surrogateescape")

    def begin_row(self) -> None:
        """Note that the next line begins a row."""
        self._of_row, self.first = [], self.line

    def give_back(self) -> str:
        """Let all lines of the row but the first be read again. Returns the first."""
        first, *rest = self._of_row
        self._again += reversed(rest)
        self.end -= sum(map(len, rest))
        self.line -= len(rest)
        return first.decode("utf-8", "surrogateescape")


def _unquoted(cell: str) -> str:
    match = _QUOTED.fullmatch(cell) if cell.startswith('"') else None
    return match[1].replace('""', '"') if match else cell


def _is_damaged(text: str) -> bool:
    """Whether bytes of it were not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
