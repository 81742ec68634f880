"""Rows after the end of series: known covariates of the future, and later observations."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from recurra.data.series.columns_of_series import long_table
from recurra.data.series.rows import Rows, existing_columns, grid_positions, sorted_rows
from recurra.data.series.series_set import Series, SeriesSet, trimmed
from recurra.data.series.table import Source, table_from_frame
from recurra.data.series.zones import to_local
from recurra.errors import DataError

__all__ = ["attach_future", "continued_by_frame", "future_rows_missing"]


def attach_future(series_set: SeriesSet, frame: Any, source: str | Source = "frame") -> SeriesSet:
    """Append known covariates for the steps after the end of each series, as future rows.

    Args:
        series_set: the series. Their `columns` name the frame's id, time and known columns.
        frame: a polars or pandas frame with rows after the last y of each series. It needs no column y. Rows replace
            future rows with the same stamp. Series without rows stay unchanged.
        source: the name of the frame in messages.

    Raises:
        DataError: a series is unknown, rows leave a gap after the end or lie before it, or the frame has a fault that
            `series_from_frame` refuses.
    """
    columns = series_set.columns
    rows = _rows(series_set, frame, columns.known, source)
    positions = _positions(series_set, rows)
    values = rows.block(columns.known)
    parts = dict(_parts(series_set, rows, positions, allow=lambda series: len(series.known)))
    return replace(
        series_set,
        series=tuple(
            replace(series, known=_overwritten(series.known, positions[part], values[part]))
            if (part := parts.get(series.id)) is not None
            else series
            for series in series_set
        ),
    )


def continued_by_frame(series_set: SeriesSet, frame: Any, source: str | Source = "frame") -> SeriesSet:
    """Append later observations: y and the covariates of rows after the last y of each series.

    Raises:
        DataError: a series has no rows or is not in the set, rows do not directly follow the last y, or the frame has
            a fault that `series_from_frame` refuses.
    """
    columns = series_set.columns
    rows = _rows(series_set, frame, (columns.target, *columns.past, *columns.known), source)
    missing = [series.id for series in series_set if series.id not in rows.ids]
    if missing:
        raise DataError(f"{rows.table.source.name}: no rows that continue {_some(missing)}.")
    positions = _positions(series_set, rows)
    y, past, known = rows.values[columns.target], rows.block(columns.past), rows.block(columns.known)
    parts = dict(_parts(series_set, rows, positions, allow=len))
    continued = []
    for series in series_set:
        part = parts[series.id]
        at = positions[part]
        longer = trimmed(
            replace(
                series,
                y=_overwritten(series.y, at, y[part]),
                past=_overwritten(series.past, at, past[part]),
                known=_overwritten(series.known, at, known[part]),
            ),
            series_set.frequency,
        )
        assert longer is not None  # the series had an observed y before
        continued.append(longer)
    return replace(series_set, series=tuple(continued))


def future_rows_missing(series_set: SeriesSet, horizon: int) -> list[tuple[str, int, int]]:
    """The series that lack known covariates for `horizon` future steps, as tuples (id, steps available, horizon).

    A step is available if it and all steps before it have a value of every known covariate.
    """
    short = []
    for series in series_set:
        ahead = series.known[len(series) : len(series) + horizon]
        incomplete = np.flatnonzero(np.isnan(ahead).any(axis=1))
        have = int(incomplete[0]) if len(incomplete) else len(ahead)
        if series_set.columns.known and have < horizon:
            short.append((series.id, have, horizon))
    return short


def _rows(series_set: SeriesSet, frame: Any, numeric: tuple[str, ...], source: str | Source) -> Rows:
    source = source if isinstance(source, Source) else Source(source)
    table = table_from_frame(frame, series_set.columns.time, source)
    table, columns = long_table(table, series_set.columns)
    columns = existing_columns(table, columns, numeric)
    rows = sorted_rows(table, columns, numeric, series_set.frequency)
    form = series_set.form
    if form.zone is not None and rows.form.zone is not None and form.is_local != rows.form.is_local:
        # A few rows do not show whether they are by the local calendar.
        utc = rows.form.utc(rows.stamps)
        stamps = to_local(utc, form.zone) if form.is_local else utc
        rows = replace(rows, stamps=stamps, form=replace(rows.form, zone=form.zone, is_local=form.is_local))
    if columns.id is None:
        # A frame without ids belongs to the only series of the set, whatever its id.
        if len(series_set) != 1:
            raise DataError(f"{source.name}: no column {series_set.columns.id!r} to tell the {len(series_set)} series.")
        rows = replace(rows, ids=series_set.ids)
    unknown = [series_id for series_id in rows.ids if series_id not in series_set]
    if unknown:
        raise DataError(
            f"{source.name}: {_some(unknown)} not in {series_set.source} "
            f"({_some(list(series_set.ids))}). Remove the rows, or correct the id."
        )
    is_date = rows.stamps.dtype.kind == "M"
    if is_date != (series_set.frequency.unit != "step"):
        kinds = ("integers", "dates") if is_date else ("dates", "integers")
        raise DataError(f"{source.name}: the stamps are {kinds[1]}, those of {series_set.source} {kinds[0]}.")
    return rows


def _positions(series_set: SeriesSet, rows: Rows) -> np.ndarray:
    start = np.array([series_set[series_id].start for series_id in rows.ids])
    return grid_positions(rows, series_set.frequency, start)


def _parts(
    series_set: SeriesSet, rows: Rows, positions: np.ndarray, allow: Callable[[Series], int]
) -> list[tuple[str, slice]]:
    """The rows of each series. They must begin after its y and no later than position `allow(series)`."""
    parts = []
    for s, series_id in enumerate(rows.ids):
        series, row = series_set[series_id], int(rows.begin[s])
        if not len(series) <= positions[row] <= allow(series):
            following = series_set.stamps_at(series, np.array([len(series)]))[0]
            raise rows.error(
                row,
                f"the stamp {rows.stamp(row)} does not continue the series, "
                f"whose next step is {series_set.form.shown(following)}. Give the rows from there on, and only those.",
            )
        parts.append((series_id, slice(row, int(rows.begin[s + 1]))))
    return parts


def _overwritten(values: np.ndarray, positions: np.ndarray, new: np.ndarray) -> np.ndarray:
    longer = np.full((max(len(values), int(positions[-1]) + 1), *values.shape[1:]), np.nan)
    longer[: len(values)] = values
    longer[positions] = new
    return longer


def _some(ids: list[str]) -> str:
    listed = ", ".join(map(repr, ids[:3]))
    return f"series {listed} and {len(ids) - 3} more" if len(ids) > 3 else f"series {listed}"
