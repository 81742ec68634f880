"""Series from a long frame, which has one row per series and time stamp."""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from recurra.data.series.columns_of_series import long_table
from recurra.data.series.frequency import Frequency
from recurra.data.series.native_frame import library_of
from recurra.data.series.rows import (
    Rows,
    existing_columns,
    grid_positions,
    missing_throughout,
    refuse_steps_of_dates,
    say_missing,
    sorted_rows,
)
from recurra.data.series.series_set import Columns, Series, SeriesSet, trimmed
from recurra.data.series.table import Source, table_from_frame
from recurra.errors import DataError

__all__ = ["series_from_frame"]


def series_from_frame(
    frame: Any,
    columns: Columns | None = None,
    frequency: Frequency | None = None,
    source: str | Source = "frame",
) -> SeriesSet:
    """Read and check every series of a long frame, and put it on its regular grid.

    Rows may be in any order. Steps without a row are missing (NaN). y is cut to its first and last observed value;
    known covariates in later rows become future rows.

    Args:
        frame: a polars or pandas frame with all of `columns`. Time stamps are dates, times (see
            `parse_stamps` about zones), text or integers. They may be in a pandas DatetimeIndex. A frame without the
            column "unique_id" holds one series, named "series". A table of dates by series is read too, see
            `long_table`.
        columns: the column names. None: `Columns()`.
        frequency: the step of the grid. None: it is inferred. Integer stamps have no calendar; for them the frequency
            gives the seasons only, and if it is in months (1mo, 1q, 1y), integers such as 2024 are years.
        source: the name of the frame in messages.

    Raises:
        DataError: the frame has a fault. The message names the row and says what to do.
        ParameterError: `frame` is not a frame.
    """
    source = source if isinstance(source, Source) else Source(source)
    columns = Columns() if columns is None else columns
    table = table_from_frame(frame, columns.time, source)
    table, columns = long_table(table, columns)
    columns = existing_columns(table, columns, (columns.target, *columns.past, *columns.known, *columns.static))
    rows = sorted_rows(table, columns, (columns.target, *columns.past, *columns.known), frequency)
    columns = replace(columns, date_format=columns.date_format or rows.form.ambiguous_text)
    inferred = frequency is None
    frequency = _frequency(rows, frequency)
    start = rows.stamps[rows.begin[:-1]]
    positions = grid_positions(rows, frequency, start, inferred)
    static = _static(rows, columns.static)
    lengths = positions[rows.begin[1:] - 1] + 1
    begin = np.concatenate([[0], np.cumsum(lengths)])
    say_missing(source.name, frequency, len(positions), int(begin[-1]))
    cells = begin[rows.code] + positions
    y = _spread(rows.values[columns.target], cells, begin[-1])
    past = _spread(rows.block(columns.past), cells, begin[-1])
    known = _spread(rows.block(columns.known), cells, begin[-1])
    series = []
    for s, series_id in enumerate(rows.ids):
        grid = slice(begin[s], begin[s + 1])
        first = start[s] if frequency.unit != "step" else int(start[s])
        one = trimmed(Series(series_id, first, y[grid], past[grid], known[grid], static[s]), frequency)
        if one is None:
            raise missing_throughout(source.name, series_id, columns.target, rows.table.location(int(rows.begin[s])))
        series.append(one)
    integer_ids = columns.id is not None and table.frame.schema[columns.id].is_integer()
    return SeriesSet(tuple(series), frequency, columns, source.name, library_of(frame), integer_ids, form=rows.form)


def _frequency(rows: Rows, stated: Frequency | None) -> Frequency:
    source = rows.table.source.name
    positions = rows.stamps.dtype.kind == "i"
    refuse_steps_of_dates(source, stated, not positions)
    if stated is not None and (stated.unit == "step" or not positions):
        return stated
    try:
        inferred = Frequency.infer(np.split(rows.stamps, rows.begin[1:-1]))
    except DataError as error:
        raise DataError(f"{source}: {error}") from None
    return inferred if stated is None else replace(inferred, cycles=stated.seasons)


def _spread(values: np.ndarray, cells: np.ndarray, size: int) -> np.ndarray:
    """The values of rows on the grid. Cells without a row are NaN."""
    grid = np.full((size, *values.shape[1:]), np.nan)
    grid[cells] = values
    return grid


def _static(rows: Rows, names: tuple[str, ...]) -> list[tuple[float | str, ...]]:
    """The static values of each series: floats from numeric columns, text from all others."""
    columns = [_static_column(rows, name) for name in names]
    return list(zip(*columns, strict=True)) if columns else [()] * len(rows.ids)


def _static_column(rows: Rows, name: str) -> list[float | str]:
    column = rows.table.frame[name]
    is_number = column.dtype.is_numeric() or column.dtype == pl.Boolean
    column = column.cast(pl.Float64).fill_nan(None) if is_number else column.cast(pl.String)
    held = pl.DataFrame({"code": rows.code, "row": np.arange(len(rows.code)), "value": column}).drop_nulls()
    first = pl.DataFrame({"code": np.arange(len(rows.ids))}).join(
        held.unique("code", keep="first", maintain_order=True), on="code", how="left", maintain_order="left"
    )
    if first["value"].null_count():
        s = int(first["value"].is_null().arg_max() or 0)
        raise rows.error(int(rows.begin[s]), f"the static column {name} is missing for this series. Fill it in.")
    values = first["value"].to_list()
    wrong = held.filter(pl.col("value") != first["value"].gather(held["code"]))
    if wrong.height:
        row, value = int(wrong["row"][0]), wrong["value"][0]
        raise rows.error(
            row,
            f"the static column {name} varies within the series: {values[int(rows.code[row])]!r}, "
            f"then {value!r}. Make it a past or known covariate, or correct it.",
        )
    return values
