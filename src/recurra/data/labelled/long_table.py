"""Labelled series from a long table, which has one row per step."""

from pathlib import Path

import numpy as np
import polars as pl

from recurra.data.files.csv_frame import csv_frame, csv_header, header_line
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
    path: str | Path,
    label: str = "label",
    id_: str = "id",
    time: str = "time",
    needs_labels: bool = True,
    times: bool = False,
) -> SeriesCases:
    """Read a long table with one row per series and step, from .csv or .tsv (also .gz) or .parquet.

    All other named columns are channels. Columns without a name, as spreadsheets and saved indices leave them, are
    ignored. The steps of a series are the rows with its id, sorted by the time column if there is one. Times are
    numbers, ISO dates or time stamps. All rows of a series have the same label, or a blank.

    Args:
        path: the file.
        label: the column of the labels.
        id_: the column of the series ids.
        time: the column of the times. The default, "time", may be missing; the rows are then in order.
        needs_labels: whether the column of the labels must exist.
        times: whether the time since the step before, 0 at the first step, is the last channel, under the name of the
            time column, which then must exist: in its unit or, of dates and time stamps, in seconds.

    Raises:
        DataError: a column, an id or a time is missing, a time occurs twice in a series, a value is not a number, or a
            series has two labels. The message names the line.
    """
    table, named = _table(path)
    for name, option in ((id_, "--id-column"), (label, "--label-column"), (time, "--time-column")):
        optional = name == "time" and not times if name == time else name == label and not needs_labels
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
        stamps = _times(table, time)
        order = np.lexsort((stamps, code))
        _refuse_duplicates(table, time, stamps[order], ids, code[order], order)
        if times:
            values = np.column_stack([values, _elapsed(stamps, code, order)])
            channels.append(time)
    begin = np.searchsorted(code[order], np.arange(len(ids) + 1))
    series = np.split(values[order], begin[1:-1])
    locations = [f"{table.source.name}, series {name!r}" for name in ids]
    fields = _labels(table, label, ids, code) if label in named else None
    return SeriesCases(series, fields, locations, tuple(channels), ids)


def _table(path: str | Path) -> tuple[Table, list[str]]:
    """The table, and its columns that have a name."""
    if str(path).lower().endswith(_PARQUET):
        frame, source = read_frame(path), Source(str(path))
        return Table(frame, np.arange(frame.height), source), frame.columns
    text = read_text(path)
    frame = csv_frame(text, str(path))
    source = Source(str(path), "line", header_line(text) + 1)
    return Table(frame, np.arange(frame.height), source), [n for n in csv_header(text)[0] if n]


def _codes(table: Table, name: str) -> tuple[tuple[str, ...], np.ndarray]:
    """The ids in the order of their first rows, and the index of each row's id."""
    text = _text(table, name)
    if text.null_count():
        row = int(text.is_null().arg_max() or 0)
        raise table.error(row, f"{name} (the series id) is missing. Fill it in or remove the row.")
    ids = text.unique(maintain_order=True)
    code = text.to_frame("id").join(pl.DataFrame({"id": ids}).with_row_index("k"), on="id", maintain_order="left")
    return tuple(ids.to_list()), code["k"].to_numpy().astype(np.int64)


def _text(table: Table, name: str) -> pl.Series:
    """A column as text. Blanks are null."""
    column = table.frame[name]
    if column.dtype.is_nested() or column.dtype == pl.Object:
        raise DataError(f"{table.source.name}: {name} is of type {column.dtype}, expected text or numbers.")
    return column.cast(pl.String).str.strip_chars().replace("", None)


def _times(table: Table, name: str) -> np.ndarray:
    """The times by which rows are sorted: integers, other numbers, or stamps."""
    column = table.frame[name]
    if column.dtype == pl.String:
        column = column.str.strip_chars().replace("", None)
    elif not column.dtype.is_numeric():
        return parse_stamps(table, name, None)[0]
    if column.null_count():
        raise table.error(int(column.is_null().arg_max() or 0), f"{name} is missing. Fill it in or remove the row.")
    whole = column.cast(pl.Int64, strict=False)
    if not column.dtype.is_float() and not whole.null_count():
        return whole.to_numpy()
    finite = column.cast(pl.Float64, strict=False).fill_null(float("nan")).is_finite()
    if finite.all():
        return column.cast(pl.Float64).to_numpy()
    if not finite[0] and column.dtype == pl.String:
        return parse_stamps(table, name, None)[0]
    row = int((~finite).arg_max() or 0)
    raise table.error(row, f"{name} is {column[row]!r}, expected a finite number, as the times in other rows are.")


def _elapsed(stamps: np.ndarray, code: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The time since the step before of the same series for each row, 0 at the first; of stamps in seconds."""
    between = np.diff(stamps[order])
    passed = between / np.timedelta64(1, "s") if between.dtype.kind == "m" else between.astype(np.float64)
    elapsed = np.zeros(len(stamps))
    elapsed[order[1:]] = np.where(np.diff(code[order]) == 0, passed, 0.0)
    return elapsed


def _refuse_duplicates(
    table: Table, name: str, times: np.ndarray, ids: tuple[str, ...], code: np.ndarray, order: np.ndarray
) -> None:
    """Raise DataError if two rows of one id have the same time. The rows are sorted by id and time."""
    twice = np.flatnonzero((times[1:] == times[:-1]) & (code[1:] == code[:-1]))
    if len(twice):
        at = int(twice[0])
        first, second = int(order[at]), int(order[at + 1])
        text = f"{name} {table.frame[name][second]} is already at {table.location(first)}. Keep one row for each step."
        raise table.error(second, text, ids[int(code[at])])


def _labels(table: Table, name: str, ids: tuple[str, ...], code: np.ndarray) -> list[str]:
    """The label of each series. It is "" if none of its rows has a label."""
    text = _text(table, name)
    rows = pl.DataFrame({"code": code, "row": np.arange(len(code)), "label": text}).drop_nulls()
    first = rows.unique("code", keep="first", maintain_order=True)
    labels = [""] * len(ids)
    at = np.zeros(len(ids), dtype=np.int64)
    for k, row, label in first.iter_rows():
        labels[k], at[k] = label, row
    wrong = rows.join(first, on="code", suffix="_first").filter(pl.col("label") != pl.col("label_first")).sort("row")
    if wrong.height:
        k, row, label = wrong.row(0)[:3]
        raise table.error(
            row,
            f"{name} is {label!r}, but {labels[k]!r} at {table.location(int(at[k]))}, expected one for the whole "
            "series.",
            ids[k],
        )
    return labels
