"""Wide tables with one row per series, as the M4 competition publishes them."""

import re

import numpy as np
import polars as pl

from recurra.data.files.csv_frame import csv_header, csv_rows, header_line
from recurra.data.series.columns_of_series import is_date
from recurra.data.series.frequency import Frequency
from recurra.data.series.numeric import decimal_mark, is_numbers, plain_numbers
from recurra.data.series.series_set import Columns, SeriesSet, univariate
from recurra.data.series.table import Source, Table
from recurra.errors import DataError

__all__ = ["is_wide", "series_from_wide", "wide_values"]

_UNNAMED = re.compile(r"[Vv]?\d*")


def is_wide(text: str, time: str) -> bool:
    """Whether a table is wide: its header names at most the first column (V1, V2, V3; id, 1, 2; id and blanks).

    A table with the column `time` is long, and so is one whose first column holds dates.
    """
    header, delimiter = csv_header(text)
    line = header_line(text)
    first = text.split("\n", line + 1)[line : line + 1]
    if len(header) < 2 or is_date(header[0]) or (first and is_date(first[0].split(delimiter)[0].strip('"'))):
        return False
    if all(name.isdecimal() for name in header) and [int(name) - int(header[0]) for name in header] != [
        *range(len(header))
    ]:
        return False
    return time not in header and all(_UNNAMED.fullmatch(name) for name in header[1:])


def series_from_wide(text: str, frequency: Frequency | None, source: str, decimal: str | None = None) -> SeriesSet:
    """Read one series per line: its id, and y from position 0 on. Blank cells at the right are ignored.

    Args:
        text: the content of the CSV file, with a header line.
        frequency: it gives the seasons only, because the file has no dates; the set's frequency is "step".
        source: the name of the file in messages.
        decimal: the decimal mark, "." or ",". None: it is recognised.

    Raises:
        DataError: a value is not a number, an id is missing or occurs twice, or a series has no values.
    """
    step = Frequency(1, "step") if frequency is None else frequency.without_calendar()
    all_series = []
    for series_id, (y, line) in wide_values(text, source, decimal).items():
        series = univariate(series_id, 0, y, step)
        if series is None:
            raise DataError(f"{source}, line {line} (series {series_id!r}): no values. Remove the line.")
        all_series.append(series)
    return SeriesSet(tuple(all_series), step, Columns(decimal=decimal), source)


def wide_values(text: str, source: str, decimal: str | None = None) -> dict[str, tuple[np.ndarray, int]]:
    """The values of each line as {id: ((T,) float64, line)}. Missing values are NaN; blank cells at the end are cut.

    Args:
        text: the content of the CSV file, with a header line.
        source: the name of the file in messages.
        decimal: the decimal mark, "." or ",". None: it is recognised; a log message tells of a comma.

    Raises:
        DataError: a value is not a finite number, or an id is missing or occurs twice.
    """
    _, delimiter = csv_header(text)
    rows = csv_rows(text, delimiter)
    next(rows)
    cells: list[str] = []
    lines: dict[str, tuple[int, int]] = {}
    for row in rows:
        while row and not row[-1].strip():
            row.pop()
        if not row:
            continue
        series_id, line = row[0].strip(), rows.line_num
        if not series_id:
            raise DataError(f"{source}, line {line}: the series id in the first column is missing. Fill it in.")
        if series_id in lines:
            first = lines[series_id][0]
            raise DataError(f"{source}, line {line}: series {series_id!r} is already at line {first}. Rename one.")
        lines[series_id] = line, len(cells)
        cells += row[1:]
    if not lines:
        raise DataError(f"{source}: no rows, only a header.")
    table = Table(
        pl.DataFrame({"y": pl.Series(cells, dtype=pl.String)}),
        np.arange(len(cells)),
        Source(source, delimiter=delimiter),
    )
    y = plain_numbers(table.frame["y"], decimal or decimal_mark(table, ["y"]))
    if len(wrong := np.flatnonzero(np.isinf(y))):
        # A cell that is a number with another mark is at fault only if no other cell is.
        cell = int(next((k for k in wrong if not is_numbers(table.frame["y"][k : k + 1])), wrong[0]))
        series_id, (line, begin) = [item for item in lines.items() if item[1][1] <= cell][-1]
        raise DataError(
            f"{source}, line {line}, column {cell - begin + 2} (series {series_id!r}): {cells[cell]!r}, expected a "
            "finite number or nothing. Correct it, or state the decimal mark with --decimal."
        )
    begins = [begin for _, begin in lines.values()]
    parts = zip(lines.items(), np.split(y, begins[1:]), strict=True)
    return {series_id: (values, line) for (series_id, (line, _)), values in parts}
