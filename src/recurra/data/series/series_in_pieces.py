"""Series of long tables of any size: the rows go through files, and what is in memory is a piece of them."""

import logging
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from recurra.data.files.array_file import Layout, create_arrays, layout_of, map_arrays
from recurra.data.series.frequency import Frequency
from recurra.data.series.numeric import are_plain_numbers, decimal_mark, numeric_column
from recurra.data.series.rows import (
    Rows,
    emptiest,
    existing_columns,
    is_irregular,
    missing_throughout,
    positions_on_grid,
    refuse_duplicates,
    refuse_steps_of_dates,
    say_missing,
    series_codes,
    way_out_of_text,
)
from recurra.data.series.series_set import Columns, SeriesSet
from recurra.data.series.stamp_form import StampForm
from recurra.data.series.stamps import parse_stamps
from recurra.data.series.store import split_series
from recurra.data.series.table import Source, Table
from recurra.data.series.table_pieces import WholeTableNeededError, table_pieces
from recurra.errors import DataError

__all__ = ["series_in_pieces"]

_ROWS = 1 << 18  # at a time
_MOST_GAPS = 100_000  # different ones between stamps


def series_in_pieces(
    path: str | Path, columns: Columns, frequency: Frequency | None, file: Path, work: Path
) -> tuple[SeriesSet, Layout]:
    """Read the series of a table as `read_series` does, in bounded memory, and write their arrays into a file.

    Memory grows with the number of series. Rows of a series that are not in the order of their stamps take the memory
    of that series.

    Args:
        path: of the table.
        columns: see `read_series`.
        frequency: see `read_series`.
        file: to write, with the arrays of `series_to_arrays`.
        work: a folder for the rows while they are read, as large as their numbers, and twice as large while they are
            sorted, if they are not in order. It is removed at the end.

    Returns:
        The set, mapped from the file, and the layout of the file.

    Raises:
        WholeTableNeededError: how the table is read depends on all of it.
        DataError: the table has a fault.
        OSError: the disk is full.
    """
    shutil.rmtree(work, ignore_errors=True)
    try:
        work.mkdir()
        rows = _sorted(_read(path, columns, frequency, work), work)
        return _on_grid(rows, frequency, file)
    finally:
        shutil.rmtree(work, ignore_errors=True)


@dataclass
class _Rows:
    """N rows in files, as `Rows` has them in memory.

    Attributes:
        arrays: `code` (N,), `index` (N,) of the row in the source, `stamp` (N,) int64, `value` (N, C): target, past and
            known covariates.
        counts: rows of each series, (S,).
        in_order: whether they are sorted by series and stamp.
        ids: of the series.
        dates: whether stamps are datetime64[us], and not integers.
        form: of the stamps.
        columns: of the table.
        names: of all columns of the source.
        source: for messages.
        static: values of each series.
        integer_ids: whether the ids were integers.
    """

    arrays: dict[str, np.ndarray]
    counts: np.ndarray
    in_order: bool
    ids: tuple[str, ...]
    dates: bool
    form: StampForm
    columns: Columns
    names: list[str]
    source: Source
    static: list[tuple[float | str, ...]]
    integer_ids: bool

    @property
    def begin(self) -> np.ndarray:
        """(S + 1,): sorted rows begin[s]:begin[s + 1] belong to series s."""
        return np.concatenate([[0], np.cumsum(self.counts)])

    def stamps(self, rows: slice | np.ndarray) -> np.ndarray:
        stamps = np.array(self.arrays["stamp"][rows])
        return stamps.view("M8[us]") if self.dates else stamps

    def chunks(self, overlap: int = 0) -> Iterator[tuple[slice, Rows]]:
        """Consecutive rows, without the numbers, each chunk with the last rows of the one before."""
        for start in range(0, len(self.arrays["code"]), _ROWS):
            rows = slice(max(start - overlap, 0), start + _ROWS)
            stamps, index = self.stamps(rows), np.array(self.arrays["index"][rows])
            others = {name: pl.Series([None]).new_from_index(0, len(stamps)) for name in self.names}
            table = Table(pl.DataFrame(others | {self.columns.time: stamps}), index, self.source)
            code = np.array(self.arrays["code"][rows])
            yield rows, Rows(table, self.ids, code, self.begin, stamps, {}, self.columns.time, self.form)


def _read(path: str | Path, columns: Columns, frequency: Frequency | None, work: Path) -> _Rows:
    """The rows of a table in its order."""
    numeric = (columns.target, *columns.past, *columns.known)
    known_ids: dict[str, int] = {}
    counts, forms, statics = np.zeros(0, np.int64), [], _Statics(columns.static)
    kinds = {"code": "<i8", "index": "<i8", "stamp": "<i8", "value": "<f8"}
    files = {name: (work / name).open("wb") for name in kinds}
    total, in_order, last = 0, True, (-1, 0)
    names, source, dates, integer_ids, used = [], Source(str(path)), False, False, [columns.time]
    try:
        for table in table_pieces(path, columns):
            if not forms:
                columns = existing_columns(table, columns, (*numeric, *columns.static))
                names, source = table.frame.columns, table.source
                integer_ids = columns.id is not None and table.frame.schema[columns.id].is_integer()
                used = [columns.time, *numeric, *([columns.id] if columns.id is not None else [])]
            table = replace(table, frame=table.frame.select(*used, *columns.static)).without_blank_rows(used)
            if table.frame.is_empty():
                continue
            with _quiet(bool(forms)):
                ids, code, stamps, form, values = _parsed(table, columns, numeric, frequency)
            forms.append(form)
            dates = stamps.dtype.kind == "M"
            code = np.array([known_ids.setdefault(one, len(known_ids)) for one in ids])[code]
            counts = np.pad(counts, (0, len(known_ids) - len(counts))) + np.bincount(code, minlength=len(known_ids))
            statics.add(table, code)
            stamps = stamps.astype("M8[us]" if dates else np.int64).view(np.int64)
            codes, times = np.concatenate([[last[0]], code]), np.concatenate([[last[1]], stamps])
            same = codes[1:] == codes[:-1]
            in_order = in_order and bool(((codes[1:] > codes[:-1]) | same & (times[1:] > times[:-1])).all())
            last, total = (int(code[-1]), int(stamps[-1])), total + len(code)
            for name, part in zip(kinds, (code, table.index, stamps, values), strict=True):
                files[name].write(np.ascontiguousarray(part, kinds[name]).data)
    finally:
        for file in files.values():
            file.close()
    if not total:
        raise WholeTableNeededError("it has no rows with values")
    layouts: dict[str, Layout] = {name: {name: (kind, (total,))} for name, kind in kinds.items()}
    layouts["value"] = {"value": ("<f8", (total, len(numeric)))}
    arrays = {name: map_arrays(work / name, layout)[name] for name, layout in layouts.items()}
    form = _merged(forms)
    columns = replace(columns, date_format=columns.date_format or form.ambiguous_text)
    ids = tuple(known_ids)
    static = statics.values(len(ids), may_be_numbers=source.word == "line")
    return _Rows(arrays, counts, in_order, ids, dates, form, columns, names, source, static, integer_ids)


def _parsed(
    table: Table, columns: Columns, numeric: tuple[str, ...], frequency: Frequency | None
) -> tuple[tuple[str, ...], np.ndarray, np.ndarray, StampForm, np.ndarray]:
    """Of a piece: the ids of its series, the index of each row's among them, stamps, their form, and numbers (N, C)."""
    ids, code = series_codes(table, columns.id)
    try:
        stamps, form = parse_stamps(table, columns.time, frequency, columns.date_format)
    except DataError as error:
        raise WholeTableNeededError(f"a piece of it does not tell how stamps are read: {error}") from None
    if form.zone not in (None, "UTC"):
        raise WholeTableNeededError("its stamps have offsets from UTC, or a zone")
    if columns.decimal is None and not are_plain_numbers(table, numeric):
        raise WholeTableNeededError("its numbers are not plain ones; --decimal says how they are read")
    decimal = columns.decimal or decimal_mark(table, numeric)
    values = [numeric_column(table, name, way_out_of_text(name, columns), decimal) for name in numeric]
    return ids, code, stamps, form, np.stack(values, axis=1)


class _Statics:
    """The static values of series, of which each piece says some."""

    def __init__(self, names: Sequence[str]) -> None:
        self._known: dict[str, dict[int, float | str]] = {name: {} for name in names}

    def add(self, table: Table, code: np.ndarray) -> None:
        for name, known in self._known.items():
            column = table.frame[name]
            if column.dtype.is_numeric() or column.dtype == pl.Boolean:
                column = column.cast(pl.Float64).fill_nan(None)
            else:
                column = column.cast(pl.String)
                if table.source.word == "line":
                    column = column.str.strip_chars().replace("", None)
            held = pl.DataFrame({"code": code, "value": column}).drop_nulls().unique(maintain_order=True)
            for series, value in held.iter_rows():
                if known.setdefault(series, value) != value:
                    raise WholeTableNeededError(f"the static column {name} may vary within a series")

    def values(self, count: int, may_be_numbers: bool) -> list[tuple[float | str, ...]]:
        """Those of each series; text that reads as numbers in all of them is numbers if it `may_be_numbers`."""
        columns = []
        for name, known in self._known.items():
            if len(known) < count:
                raise WholeTableNeededError(f"the static column {name} is missing for a series")
            column = pl.Series([known[series] for series in range(count)])
            if not may_be_numbers:
                columns.append(column.to_list())
                continue
            numbers = column.cast(pl.Float64, strict=False)
            if numbers.is_nan().any():
                raise WholeTableNeededError(f"the static column {name} may be missing for a series")
            columns.append((column if numbers.null_count() else numbers).to_list())
        return list(zip(*columns, strict=True)) if columns else [()] * count


def _merged(forms: list[StampForm]) -> StampForm:
    """The form of the stamps of all pieces."""
    plain = {replace(form, text=form.text.replace("%-", "%"), is_local=False) for form in forms}
    if len(plain) > 1:
        raise WholeTableNeededError("its stamps are of several forms")
    # A part is written without zeros if it is in one piece.
    parts = [re.split(r"(?=%)", form.text) for form in forms]
    text = "".join(next((one for one in part if one.startswith("%-")), part[0]) for part in zip(*parts, strict=True))
    return replace(forms[0], text=text, is_local=all(form.is_local for form in forms))


def _sorted(rows: _Rows, work: Path) -> _Rows:
    """The rows by series, and by stamp within each."""
    if rows.in_order:
        return rows
    arrays, following = create_arrays(work / "sorted", layout_of(rows.arrays)), rows.begin[:-1].copy()
    for start in range(0, len(rows.arrays["code"]), _ROWS):
        part = {name: np.array(array[start : start + _ROWS]) for name, array in rows.arrays.items()}
        order = np.argsort(part["code"], kind="stable")
        distinct, first, count = np.unique(part["code"][order], return_index=True, return_counts=True)
        cells = np.arange(len(order)) + np.repeat(following[distinct] - first, count)
        following[distinct] += count
        for name, array in arrays.items():
            array[cells] = part[name][order]
    for name in rows.arrays:
        (work / name).unlink()
    for first, last in zip(rows.begin[:-1].tolist(), rows.begin[1:].tolist(), strict=True):
        if not _increases(arrays["stamp"][first:last]):
            order = np.argsort(arrays["stamp"][first:last], kind="stable")
            for array in arrays.values():
                array[first:last] = array[first:last][order]
    return replace(rows, arrays=arrays, in_order=True)


def _increases(stamps: np.ndarray) -> bool:
    parts = (stamps[start : start + _ROWS + 1] for start in range(0, len(stamps), _ROWS))
    return all(bool((part[1:] > part[:-1]).all()) for part in parts)


def _on_grid(rows: _Rows, stated: Frequency | None, file: Path) -> tuple[SeriesSet, Layout]:
    """Put sorted rows on the grids of their series, as `series_from_frame` does."""
    for _, chunk in rows.chunks(overlap=1):
        refuse_duplicates(chunk, rows.columns)
    inferred = stated is None
    frequency = _frequency(rows, stated)
    count, begin = len(rows.ids), rows.begin
    start = rows.stamps(begin[:-1])
    extent = {name: np.full(count, -1) for name in ("first", "last", "known", "row")}
    gaps, past = Counter[int](), len(rows.columns.past)
    before = (-1, 0)
    for part, chunk in rows.chunks():
        positions = positions_on_grid(chunk, frequency, start, inferred)
        code, values = chunk.code, rows.arrays["value"][part]
        codes, steps = np.concatenate([[before[0]], code]), np.concatenate([[before[1]], positions])
        _count(gaps, np.diff(steps)[codes[1:] == codes[:-1]])
        before = int(code[-1]), int(positions[-1])
        observed = ~np.isnan(values[:, 0])
        ahead = ~np.isnan(values[:, 1 + past :]).all(axis=1)
        # Rows are sorted: of several the last one stays, and from the back the first one.
        extent["last"][code[observed]] = positions[observed]
        extent["known"][code[ahead]] = positions[ahead]
        extent["row"][code] = positions
        seen, at = np.unique(code[observed], return_index=True)
        new = extent["first"][seen] < 0
        extent["first"][seen[new]] = positions[observed][at[new]]
    _check(rows, frequency, inferred, gaps, extent)
    first, end = extent["first"], extent["last"] + 1
    lengths, known_lengths = end - first, np.maximum(extent["known"] + 1, end) - first
    starts = np.where(first > 0, frequency.stamps_at(start, first).astype(np.int64), start.astype(np.int64))
    layout: Layout = {
        "starts": ("<i8", (count,)),
        "lengths": ("<i8", (count,)),
        "known_lengths": ("<i8", (count,)),
        "y": ("<f8", (int(lengths.sum()),)),
        "past": ("<f8", (int(lengths.sum()), past)),
        "known": ("<f8", (int(known_lengths.sum()), len(rows.columns.known))),
    }
    arrays = create_arrays(file, layout)
    arrays["starts"][:], arrays["lengths"][:], arrays["known_lengths"][:] = starts, lengths, known_lengths
    for name in ("y", "past", "known"):
        for at in range(0, len(arrays[name]), _ROWS):
            arrays[name][at : at + _ROWS] = np.nan
    begins = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    known_begins = np.concatenate([[0], np.cumsum(known_lengths)[:-1]])
    for part, chunk in rows.chunks():
        code, values = chunk.code, np.array(rows.arrays["value"][part])
        steps = frequency.positions(start[code], chunk.stamps) - first[code]
        inside, in_known = (steps >= 0) & (steps < lengths[code]), (steps >= 0) & (steps < known_lengths[code])
        cells = (begins[code] + steps)[inside]
        arrays["y"][cells] = values[inside, 0]
        arrays["past"][cells] = values[inside, 1 : 1 + past]
        arrays["known"][(known_begins[code] + steps)[in_known]] = values[in_known, 1 + past :]
    facts = {"ids": rows.ids, "static": rows.static, "dates": rows.dates and frequency.unit != "step"}
    return (
        SeriesSet(
            split_series(facts, arrays),
            frequency,
            rows.columns,
            rows.source.name,
            integer_ids=rows.integer_ids,
            form=rows.form,
        ),
        layout,
    )


def _frequency(rows: _Rows, stated: Frequency | None) -> Frequency:
    if stated is not None and stated.business_day is not None:
        raise WholeTableNeededError("its frequency is that of business days")
    refuse_steps_of_dates(rows.source.name, stated, rows.dates)
    if stated is not None and (stated.unit == "step" or rows.dates):
        return stated
    gaps, of_months, total = Counter[int](), 0, 0
    for _, chunk in rows.chunks(overlap=1):
        same = np.diff(chunk.code) == 0
        _count(gaps, np.diff(chunk.stamps).astype(np.int64)[same])
        if rows.dates:
            of_months += int((np.diff(chunk.stamps.astype("M8[M]")).astype(np.int64)[same] > 0).sum())
        total += int(same.sum())
    if not total or (rows.dates and Frequency.may_follow_months(of_months, total)):
        raise WholeTableNeededError("its frequency is that of months, or no series has two stamps")
    frequency = Frequency.of_gaps(*_distinct(gaps), "us" if rows.dates else "step")
    return frequency if stated is None else replace(frequency, cycles=stated.seasons)


def _check(
    rows: _Rows, frequency: Frequency, inferred: bool, gaps: Counter[int], extent: dict[str, np.ndarray]
) -> None:
    """Refuse series that are missing throughout, and warn as `series_from_frame` does of a grid with many gaps."""
    steps = extent["row"] + 1
    distinct, counts = _distinct(gaps)
    irregular = inferred and frequency.unit != "step" and (1 not in gaps or is_irregular(distinct, counts))
    if irregular or emptiest(steps, rows.counts):
        raise WholeTableNeededError("its stamps are not regular")
    say_missing(rows.source.name, frequency, int(rows.counts.sum()), int(steps.sum()))
    if len(missing := np.flatnonzero(extent["first"] < 0)):
        row = int(rows.arrays["index"][rows.begin[missing[0]]])
        first = f"{rows.source.word} {rows.source.first + row}"
        raise missing_throughout(rows.source.name, rows.ids[missing[0]], rows.columns.target, first)


def _count(gaps: Counter[int], more: np.ndarray) -> None:
    distinct, counts = np.unique(more, return_counts=True)
    for gap, count in zip(distinct.tolist(), counts.tolist(), strict=True):
        gaps[gap] += count
    if len(gaps) > _MOST_GAPS:
        raise WholeTableNeededError("its stamps are not regular")


def _distinct(gaps: Counter[int]) -> tuple[np.ndarray, np.ndarray]:
    """The gaps in increasing order, and how many there are of each."""
    distinct = np.array(sorted(gaps), np.int64)
    return distinct, np.array([gaps[gap] for gap in distinct.tolist()], np.int64)


@contextmanager
def _quiet(really: bool) -> Iterator[None]:
    """Leave out log messages about how values are read, which the first piece has brought already."""

    def refuse(_: logging.LogRecord) -> bool:
        return False

    logger = logging.getLogger("recurra.forecast")
    if really:
        logger.addFilter(refuse)
    try:
        yield
    finally:
        logger.removeFilter(refuse)
