"""Long tables of any size, some rows at a time."""

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import polars as pl

from recurra.data.files.csv_frame import csv_frame, csv_header, header_line
from recurra.data.files.text_file import check_file
from recurra.data.files.text_pieces import text_pieces
from recurra.data.series.columns_of_series import is_row
from recurra.data.series.read import PARQUET_ENDINGS, TEXT_ENDINGS
from recurra.data.series.series_set import Columns
from recurra.data.series.table import Source, Table
from recurra.data.series.wide import is_wide
from recurra.errors import DataError

__all__ = ["WholeTableNeededError", "table_pieces"]

_ROWS = 1 << 18  # of a Parquet file, at a time
_LONGEST_ROW = 1 << 24  # characters between line ends that are outside of quotes


class WholeTableNeededError(Exception):
    """How a table is read depends on all of it. The argument says why, in words that end a sentence."""


def table_pieces(path: str | Path, columns: Columns) -> Iterator[Table]:
    """The pieces of a long table in order, with all columns; at least one.

    Of text, all columns are text, as in `csv_frame`. Messages about rows of a piece count them as in the file.

    Raises:
        WholeTableNeededError: it is not a long table with the names of time and target in its first line, or the rows
            of its text cannot be told apart.
        DataError: the file cannot be read, or a line has a fault.
    """
    name = check_file(path).name.lower()
    if name.endswith(PARQUET_ENDINGS):
        return _of_parquet(path, columns)
    if not name.endswith(TEXT_ENDINGS):
        raise WholeTableNeededError("its kind of file is not read in pieces")
    if not columns.header:
        raise WholeTableNeededError("it has no header")
    return _of_text(path, columns)


def _of_parquet(path: str | Path, columns: Columns) -> Iterator[Table]:
    try:
        scan = pl.scan_parquet(path, glob=False)
        _check_named(scan.collect_schema().names(), columns)
        height = int(scan.select(pl.len()).collect().item())
        for start in range(0, max(height, 1), _ROWS):
            frame = scan.slice(start, _ROWS).collect()
            yield Table(frame, start + np.arange(frame.height), Source(str(path)))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path}: not a parquet file ({str(error).splitlines()[0]}).") from None


def _of_text(path: str | Path, columns: Columns) -> Iterator[Table]:
    pieces = _whole_rows(text_pieces(path))
    first = next(pieces)
    lines, end = header_line(first), 0
    for _ in range(lines):
        end = first.find("\n", end) + 1 or len(first)
    header, rest = first[:end], first[end:]
    cells, delimiter = csv_header(header)
    if not re.search(r"[,;\t]", header):
        raise WholeTableNeededError("its columns are not separated by commas, semicolons or tabs")
    if is_row(cells) or is_wide(header, columns.time):
        raise WholeTableNeededError("it is not a long table with a header")
    _check_named(cells, columns)
    source, before = Source(str(path), "line", lines + 1, delimiter), 0
    # A piece with the header alone has no rows that tell anything, unless it is the only one.
    rest = rest or next(pieces, "")
    for rows in chain([rest], pieces):
        frame = csv_frame(header + rows, str(path), lines_before=before)
        yield Table(frame, before + np.arange(frame.height), source)
        before += rows.count("\n")


def _check_named(names: list[str], columns: Columns) -> None:
    if columns.time not in names or columns.target not in names:
        raise WholeTableNeededError("the columns of time and target have other names, and are recognised")


def _whole_rows(pieces: Iterable[str]) -> Iterator[str]:
    """The text of pieces in other pieces, each but the last ending with a line end that is outside of quotes."""
    held = ""
    for piece in pieces:
        text = held + piece
        cut = text.rfind("\n") + 1
        while text.count('"', 0, cut) % 2:
            cut = text.rfind("\n", 0, text.rfind('"', 0, cut)) + 1
        if cut:
            yield text[:cut]
        held = text[cut:]
        if len(held) > _LONGEST_ROW:
            raise WholeTableNeededError("a quote is not closed for a long while")
    if held:
        yield held
