"""Tables of dates by series: a column of dates, and a column of numbers for each series."""

import logging
import re
from dataclasses import replace

import numpy as np
import polars as pl

from recurra.data.series.numeric import is_numbers
from recurra.data.series.series_set import Columns
from recurra.data.series.table import Table

__all__ = ["headerless_names", "holds_dates", "is_date", "is_row", "long_table"]

_log = logging.getLogger("recurra.forecast")
_DATE = r"^\s*(?:\d{4}[-/]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})"


def is_date(text: str) -> bool:
    """Whether a cell begins as a date with separators does."""
    return re.match(_DATE, text) is not None


def long_table(table: Table, columns: Columns) -> tuple[Table, Columns]:
    """A table of dates by series in long form, with its columns; any other table as it is.

    In such a table the default names of id and target are missing, and besides the dates all columns are numbers. Its
    dates are in the column `columns.time`, or in the first one if that has its default name. A log message says what
    was recognised. A single column of numbers is the target.
    """
    there, source = table.frame.columns, table.source.name
    has_time = columns.time in there
    if not has_time and (columns.time != Columns.time or not there or not holds_dates(table.frame[there[0]])):
        return table, columns
    time = columns.time if has_time else there[0]
    named = columns if has_time else replace(columns, time=time)
    if columns.target in there:
        if not has_time:
            _log.info("%s: the dates are in the column %r", source, time)
        return table, named
    others = [name for name in there if name != time]
    if columns.target != Columns.target:
        return table, named
    if columns.target.lower() in (name.lower() for name in others):
        return table, columns
    plain = columns.id in (Columns.id, None) and Columns.id not in there
    if not plain or columns.past or columns.known or columns.static or not others:
        return table, columns
    if not all(is_numbers(table.frame[name]) for name in others):
        return table, columns
    if len(others) == 1:
        _log.info("%s: the dates are in the column %r, and the target is %r", source, time, others[0])
        return table, replace(named, target=others[0])
    kind = "steps" if table.frame.schema[time].is_integer() else "dates"
    _log.info("%s: a table of %s by %d series; --target-column gives one of them", source, kind, len(others))
    table = table.without_blank_rows(there)
    frame = table.frame
    if any(frame.schema[name] == pl.String for name in others):
        frame = frame.with_columns(pl.col(others).cast(pl.String))
    long = frame.unpivot(others, index=time, variable_name=Columns.id, value_name=columns.target)
    return replace(table, frame=long, index=np.tile(table.index, len(others))), replace(named, id=Columns.id)


def headerless_names(cells: list[str], columns: Columns) -> list[str]:
    """Names for the columns of a file without a header, from the cells of its first row.

    Columns are numbered from 1, if `columns.time` is such a number. Otherwise dates in the first column are
    `columns.time`, and the columns after them are numbered. Dates in one of the first two columns beside a column of
    ids (text, or what stands before the dates) are those of a long table, and so is what is right of them. A single
    column of numbers is the target.
    """
    numbers = [str(index) for index in range(1, len(cells) + 1)]
    if columns.time in numbers:
        return numbers
    ids = columns.id or Columns.id
    if is_date(cells[0]):
        named = [columns.time] if len(cells) < 3 or is_numbers(pl.Series(cells[1:2])) else [columns.time, ids]
    else:
        named = [ids, columns.time] if len(cells) > 2 and is_date(cells[1]) else []
    rest = numbers[len(named) :] if ids in named else numbers[: len(cells) - len(named)]
    return named + ([columns.target] if len(rest) == 1 and columns.target not in numbers else rest)


def is_row(cells: list[str]) -> bool:
    """Whether the cells of a first line are values: numbers, perhaps beside a date, or beside a date and an id.

    Counts such as 1, 2, 3 without a date are names of columns, and so are several dates.
    """
    others = [cell for cell in cells if not is_date(cell)]
    numbers = [cell for cell in others if is_numbers(pl.Series([cell]))]
    has_date = len(cells) - len(others) == 1
    if not all(cells) or not numbers or len(others) < len(cells) - 1 or len(others) > len(numbers) + has_date:
        return False
    counts = len(others) > 1 and all(cell.isdecimal() for cell in others)
    return has_date or not counts or bool((np.diff([int(cell) for cell in others]) != 1).any())


def holds_dates(column: pl.Series) -> bool:
    """Whether a column holds times, or text that begins as dates do."""
    if column.dtype != pl.String:
        return column.dtype.is_temporal()
    text = column.str.strip_chars().replace("", None).drop_nulls()
    return len(text) > 0 and bool(text.str.contains(_DATE).all())
