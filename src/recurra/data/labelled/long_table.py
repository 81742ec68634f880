"""Series with a label from a long table: a row a step."""

from pathlib import Path

import numpy as np
import polars as pl

from recurra.data.files.csv_frame import csv_frame, csv_header
from recurra.data.files.delimited import missing_column
from recurra.data.files.text_file import read_text
from recurra.data.labelled.series_cases import SeriesCases
from recurra.data.series.numeric import numeric_column
from recurra.data.series.read import read_frame
from recurra.data.series.stamps import parse_stamps
from recurra.data.series.table import Source, Table
from recurra.errors import DataError

__all__ = ["cases_from_long"]

_PARQUET = (".parquet", ".pq")
_WAY_OUT = "Encode it as numbers, or remove it; if it is the label, name it with --label-column."


def cases_from_long(
    path: str | Path, label: str = "label", id_: str = "id", time: str = "time", needs_labels: bool = True
) -> SeriesCases:
    """Read what a long table holds: a row for each series and step, as .csv or .tsv (also .gz), or .parquet.

    The columns beside those named are the channels; of those without a name, as a spreadsheet or an index leaves
    them, none. The steps of a series are the rows of its id, in the order of the time column where there is one;
    times may be whatever numbers, ISO dates or stamps. The label is the same in all rows of a series, or blank in some.

    Args:
        path: of the file.
        label: the column of the labels.
        id_: of the series' names.
        time: of the times; "time" may be missing, and the rows are then in order.
        needs_labels: whether the labels' column must be there.

    Raises:
        DataError: a column that is not there, a missing id or time, a time that is twice in a series, a value that is
            no number, or a series with two labels; the message names the line.
    """
    table, named = _table(path)
    for name, option in ((id_, "--id-column"), (label, "--label-column"), (time, "--time-column")):
        optional = name == "time" if name == time else name == label and not needs_labels
        if name not in named and not optional:
            raise missing_column(table.source.name, name, named, option)
    channels = [name for name in named if name not in (id_, label, time)]
    if not channels:
        raise DataError(f"{table.source.name}: no columns beside {', '.join(map(repr, named))}, expected channels.")
    table = table.without_blank_rows(named)
    if table.frame.is_empty():
        raise DataError(f"{table.source.name}: no rows, only columns. Give a row for each series and step.")
    ids, code = _codes(table, id_)
    values = np.stack([numeric_column(table, name, _WAY_OUT) for name in channels], axis=1)
    order = np.argsort(code, kind="stable")
    if time in named:
        times = _times(table, time)
        order = np.lexsort((times, code))
        _refuse_duplicates(table, time, times[order], ids, code[order], order)
    begin = np.searchsorted(code[order], np.arange(len(ids) + 1))
    series = np.split(values[order], begin[1:-1])
    places = [f"{table.source.name}, series {name!r}" for name in ids]
    fields = _labels(table, label, ids, code) if label in named else None
    return SeriesCases(series, fields, places, tuple(channels), ids)


def _table(path: str | Path) -> tuple[Table, list[str]]:
    """The table, and those of its columns that have a name."""
    if str(path).lower().endswith(_PARQUET):
        frame, source = read_frame(path), Source(str(path))
        return Table(frame, np.arange(frame.height), source), frame.columns
    text = read_text(path)
    frame = csv_frame(text, str(path))
    return Table(frame, np.arange(frame.height), Source(str(path), "line", 2)), [n for n in csv_header(text)[0] if n]


def _codes(table: Table, name: str) -> tuple[tuple[str, ...], np.ndarray]:
    """The ids in the order of their first rows, and which of them each row has."""
    text = _text(table, name)
    if text.null_count():
        row = int(text.is_null().arg_max() or 0)
        raise table.error(row, f"{name} (the series id) is missing. Fill it in or remove the row.")
    ids = text.unique(maintain_order=True)
    code = text.to_frame("id").join(pl.DataFrame({"id": ids}).with_row_index("k"), on="id", maintain_order="left")
    return tuple(ids.to_list()), code["k"].to_numpy().astype(np.int64)


def _text(table: Table, name: str) -> pl.Series:
    """A column as text, null where blank."""
    column = table.frame[name]
    if column.dtype.is_nested() or column.dtype == pl.Object:
        raise DataError(f"{table.source.name}: {name} is of type {column.dtype}, expected text or numbers.")
    return column.cast(pl.String).str.strip_chars().replace("", None)


def _times(table: Table, name: str) -> np.ndarray:
    """What the rows are sorted by: integers, other numbers, or stamps."""
    column = table.frame[name]
    if column.dtype == pl.String:
        column = column.str.strip_chars().replace("", None)
    elif not column.dtype.is_numeric():
        return parse_stamps(table, name, None)
    if column.null_count():
        raise table.error(int(column.is_null().arg_max() or 0), f"{name} is missing. Fill it in or remove the row.")
    whole = column.cast(pl.Int64, strict=False)
    if not column.dtype.is_float() and not whole.null_count():
        return whole.to_numpy()
    number = column.cast(pl.Float64, strict=False).fill_null(float("nan")).is_finite()
    if number.all():
        return column.cast(pl.Float64).to_numpy()
    if not number[0] and column.dtype == pl.String:
        return parse_stamps(table, name, None)
    row = int((~number).arg_max() or 0)
    raise table.error(row, f"{name} is {column[row]!r}, expected a finite number, as the times in other rows are.")


def _refuse_duplicates(
    table: Table, name: str, times: np.ndarray, ids: tuple[str, ...], code: np.ndarray, order: np.ndarray
) -> None:
    """Of rows sorted by id and time, those of one id that have the same time."""
    twice = np.flatnonzero((times[1:] == times[:-1]) & (code[1:] == code[:-1]))
    if len(twice):
        at = int(twice[0])
        first, second = int(order[at]), int(order[at + 1])
        text = f"{name} {table.frame[name][second]} is already at {table.place(first)}. Keep one row for each step."
        raise table.error(second, text, ids[int(code[at])])


def _labels(table: Table, name: str, ids: tuple[str, ...], code: np.ndarray) -> list[str]:
    """Of each series, "" where its rows have none."""
    text = _text(table, name)
    rows = pl.DataFrame({"code": code, "row": np.arange(len(code)), "label": text}).drop_nulls()
    first = rows.unique("code", keep="first", maintain_order=True)
    found = [""] * len(ids)
    at = np.zeros(len(ids), dtype=np.int64)
    for k, row, label in first.iter_rows():
        found[k], at[k] = label, row
    wrong = rows.join(first, on="code", suffix="_first").filter(pl.col("label") != pl.col("label_first")).sort("row")
    if wrong.height:
        k, row, label = wrong.row(0)[:3]
        raise table.error(
            row,
            f"{name} is {label!r}, but {found[k]!r} at {table.place(int(at[k]))}, expected one for the whole series.",
            ids[k],
        )
    return found
