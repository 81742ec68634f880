"""Wide tables with one row per series, as the M4 competition publishes them."""

import re

import numpy as np

from recurra.data.files.csv_frame import csv_header, csv_rows
from recurra.data.series.columns_of_series import is_date
from recurra.data.series.frequency import Frequency
from recurra.data.series.numeric import MISSING
from recurra.data.series.series_set import Columns, SeriesSet, univariate
from recurra.errors import DataError

__all__ = ["is_wide", "series_from_wide", "wide_values"]

_UNNAMED = re.compile(r"[Vv]?\d*")


def is_wide(text: str, time: str) -> bool:
    """Whether a table is wide: its header names at most the first column (V1, V2, V3; id, 1, 2; id and blanks).

    A table with the column `time` is long, and so is one whose first column holds dates.
    """
    header, delimiter = csv_header(text)
    first = text.split("\n", 2)[1:2]
    if len(header) < 2 or is_date(header[0]) or (first and is_date(first[0].split(delimiter)[0].strip('"'))):
        return False
    if all(name.isdecimal() for name in header) and [int(name) - int(header[0]) for name in header] != [
        *range(len(header))
    ]:
        return False
    return time not in header and all(_UNNAMED.fullmatch(name) for name in header[1:])


def series_from_wide(text: str, frequency: Frequency | None, source: str) -> SeriesSet:
    """Read one series per line: its id, and y from position 0 on. Blank cells at the right are ignored.

    Args:
        text: the content of the CSV file, with a header line.
        frequency: it gives the seasons only, because the file has no dates; the set's frequency is "step".
        source: the name of the file in messages.

    Raises:
        DataError: a value is not a number, an id is missing or occurs twice, or a series has no values.
    """
    step = Frequency(1, "step") if frequency is None else frequency.without_calendar()
    series = []
    for series_id, (y, line) in wide_values(text, source).items():
        found = univariate(series_id, 0, y, step)
        if found is None:
            raise DataError(f"{source}, line {line} (series {series_id!r}): no values. Remove the line.")
        series.append(found)
    return SeriesSet(tuple(series), step, Columns(), source)


def wide_values(text: str, source: str) -> dict[str, tuple[np.ndarray, int]]:
    """The values of each line as {id: ((T,) float64, line)}. Missing values are NaN; blank cells at the end are cut.

    Raises:
        DataError: a value is not a finite number, or an id is missing or occurs twice.
    """
    _, delimiter = csv_header(text)
    rows = csv_rows(text, delimiter)
    next(rows)
    found: dict[str, tuple[np.ndarray, int]] = {}
    for cells in rows:
        while cells and not cells[-1].strip():
            cells.pop()
        if not cells:
            continue
        series_id, line = cells[0].strip(), rows.line_num
        if not series_id:
            raise DataError(f"{source}, line {line}: the series id in the first column is missing. Fill it in.")
        if series_id in found:
            raise DataError(
                f"{source}, line {line}: series {series_id!r} is already at line {found[series_id][1]}. Rename one."
            )
        values = [_number(cell, f"{source}, line {line}, column {c}", series_id) for c, cell in enumerate(cells[1:], 2)]
        found[series_id] = np.array(values, dtype=np.float64), line
    if not found:
        raise DataError(f"{source}: no rows, only a header.")
    return found


def _number(cell: str, place: str, series_id: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        if cell.strip().lower() in MISSING:
            return np.nan
        value = np.inf
    if np.isinf(value):
        raise DataError(f"{place} (series {series_id!r}): {cell!r}, expected a finite number or nothing. Correct it.")
    return value
