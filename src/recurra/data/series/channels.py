"""Rows of measurements: series of several channels, as they came, on no grid."""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recurra.data.series.columns_of_series import holds_dates
from recurra.data.series.native_frame import Library, library_of
from recurra.data.series.numeric import MISSING, decimal_mark, is_numbers, numeric_column
from recurra.data.series.read import read_table
from recurra.data.series.rows import existing_columns, sorted_rows
from recurra.data.series.series_set import Columns
from recurra.data.series.stamp_form import StampForm
from recurra.data.series.table import Source, Table, table_from_frame
from recurra.errors import DataError, ParameterError

__all__ = ["ChannelColumns", "ChannelSeries", "ChannelSet", "channels_from_arrays", "read_channels"]

_log = logging.getLogger("recurra.data")
_TIMES = ("ds", "timestamp", "datetime", "date", "time")
_LABELS = ("label", "labels", "anomaly", "is_anomaly", "outlier", "is_outlier")
_COUNTED = "count of the rows"  # the column of stamps of a table without times
_FLAGS = {"0": 0.0, "0.0": 0.0, "false": 0.0, "1": 1.0, "1.0": 1.0, "true": 1.0}
_TRUTH = _FLAGS | dict.fromkeys(MISSING, 0.0)


@dataclass(frozen=True)
class ChannelColumns:
    """How a table of measurements is read.

    Args:
        id: the column with the id of each row's series. A table without "unique_id" holds one series.
        time: the column with the time stamps. None: one called ds, timestamp, datetime, date or time, else the first
            one if it holds dates; if there is none, rows are counted.
        channels: the columns of measurements. Empty: all others that hold numbers.
        covariates: columns of numbers that are read beside the channels, and that are not judged.
        ignore: columns that are left out.
        label: the column that says which rows are anomalous. None: one called label, anomaly, outlier, is_anomaly or
            is_outlier that holds 0 and 1, or true and false, alone.
        decimal: the decimal mark of numbers in text, "." or ",". None: it is recognised.
        date_format: the form of dates in text, as `datetime.strptime` takes it. None: it is recognised.
    """

    id: str | None = Columns.id
    time: str | None = None
    channels: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    label: str | None = None
    decimal: str | None = None
    date_format: str | None = None
    covariates: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class ChannelSeries:
    """One series of T rows in the order of their stamps, of C channels and D covariates.

    Args:
        id: the name of the series.
        stamps: (T,) datetime64[us], or int64.
        values: (T, C + D) float64, the channels first; NaN if missing.
        labels: (T,) bool, whether each row is anomalous. None: that is not known.
    """

    id: str
    stamps: np.ndarray
    values: np.ndarray
    labels: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, eq=False)
class ChannelSet:
    """Series of the same channels, from one source, with unique ids.

    Args:
        series: at least one.
        channels: the names of the C channels.
        source: where they come from, for messages: a path, or "the data".
        columns: how a table of the same kind is read.
        form: in which the stamps came.
        library: of the frame they come from; see `recurra.data.series.native_frame`.
        covariates: the names of the D covariates, the last columns of the values.
    """

    series: tuple[ChannelSeries, ...]
    channels: tuple[str, ...]
    source: str
    columns: ChannelColumns = field(default_factory=ChannelColumns)
    form: StampForm = field(default_factory=StampForm)
    library: Library = "polars"
    covariates: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.series)

    def __iter__(self) -> Iterator[ChannelSeries]:
        return iter(self.series)

    def __contains__(self, name: object) -> bool:
        return name in self.ids

    def __getitem__(self, name: str) -> ChannelSeries:
        """The series with this id. Raises DataError if the set does not have it."""
        if name not in self:
            close = get_close_matches(name, self.ids, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else f" among its {len(self)}."
            raise DataError(f"{self.source}: no series {name!r}{hint}")
        return self.series[self.ids.index(name)]

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids, in order."""
        return tuple(one.id for one in self.series)

    @property
    def has_times(self) -> bool:
        """Whether the stamps are times, and not integers."""
        return self.series[0].stamps.dtype.kind == "M"

    @property
    def rows(self) -> int:
        """The rows of all series."""
        return sum(map(len, self.series))

    def count_in_words(self) -> str:
        """The number of rows, such as "1 row"."""
        return f"{self.rows:,} row{'' if self.rows == 1 else 's'}"

    @property
    def step_seconds(self) -> float | None:
        """The time between two rows, the median. None: the stamps are no times, or there is one row a series."""
        gaps = [np.diff(one.stamps) for one in self.series if one.stamps.dtype.kind == "M"]
        joined = np.concatenate(gaps) if gaps else np.empty(0, "m8[us]")
        return float(np.median(joined.astype("m8[us]").astype(np.float64))) / 1e6 if len(joined) else None

    @property
    def is_on_grid(self) -> bool:
        """Whether no row comes later or earlier than one step after the row before; also if there are no times."""
        step = self.step_seconds
        if step is None:
            return True
        gaps = np.concatenate([np.diff(one.stamps).astype("m8[us]").astype(np.float64) / 1e6 for one in self.series])
        return not (abs(gaps - step) > 0.01 * step).any()

    def digest(self) -> str:
        """A checksum of ids, stamps, values and names."""
        digest = hashlib.sha256(repr((self.channels, self.covariates, [one.id for one in self.series])).encode())
        for one in self.series:
            digest.update(str(one.values.shape).encode() + np.ascontiguousarray(one.values).tobytes())
            digest.update(one.stamps.astype(np.int64).tobytes())
        return digest.hexdigest()

    def describe_time(self) -> str:
        """The step and its irregularities in words; empty if there are no times."""
        step = self.step_seconds
        if step is None:
            return ""
        gaps = np.concatenate([np.diff(one.stamps).astype("m8[us]").astype(np.float64) / 1e6 for one in self.series])
        long, off = gaps > 1.5 * step, abs(gaps - step) > 0.01 * step
        words = f"a row every {duration(step)}"
        if long.any():
            count = int(long.sum())
            words += f", {count:,} gap{'s' if count > 1 else ''}, the longest of {duration(float(gaps.max()))}"
        elif off.any():
            words += f", {100 * off.mean():.0f} % of the rows earlier or later"
        return words


def duration(seconds: float) -> str:
    """A time in words, such as "5 minutes"."""
    units = (("year", 31_557_600), ("week", 604_800), ("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))
    name, size = next((unit for unit in units if seconds >= 0.995 * unit[1]), units[-1])
    shown = f"{seconds / size:.3g}" if seconds < 999 * size else f"{seconds / size:,.0f}"
    return f"{shown} {name}{'' if shown == '1' else 's'}"


def channels_from_arrays(
    arrays: Sequence[Any] | np.ndarray, names: Sequence[str] = (), labels: Any = None, covariates: Sequence[str] = ()
) -> ChannelSet:
    """Series from arrays: one (T,) or (T, C + D), or a list of them.

    Args:
        arrays: of numbers, NaN if missing.
        names: of the channels; empty: "y" for one, else 1, 2, 3.
        labels: (T,) of 0 and 1, or a list of them, one for each array. None: they are not known.
        covariates: the names of the D last columns, which are read and not judged.

    Raises:
        DataError: an array has another shape, no rows, or an infinite value; or labels do not fit.
    """
    single = not isinstance(arrays, list | tuple) or not len(arrays) or np.ndim(arrays[0]) == 0
    listed = [arrays] if single else list(arrays)
    listed_labels = [None] * len(listed) if labels is None else [labels] if single else list(labels)
    if len(listed_labels) != len(listed):
        raise ParameterError("y", f"{len(listed)} lists of labels, one for each series", len(listed_labels))
    series = []
    for index, (values, own) in enumerate(zip(listed, listed_labels, strict=True)):
        table = np.asarray(values, np.float64)
        table = table[:, None] if table.ndim == 1 else table
        if table.ndim != 2 or not table.size or np.isinf(table).any():
            raise DataError(f"series {index}: expected finite numbers (T,) or (T, C), got {np.shape(values)}")
        flags = None if own is None else np.asarray(own).astype(bool).reshape(-1)
        if flags is not None and len(flags) != len(table):
            raise DataError(f"series {index}: expected {len(table)} labels, one for each row, got {len(flags)}")
        name = "series" if len(listed) == 1 else str(index)
        series.append(ChannelSeries(name, np.arange(len(table)), table, flags))
    width = series[0].values.shape[1]
    if any(one.values.shape[1] != width for one in series):
        raise DataError(f"expected as many channels in every series as in the first, {width}")
    count = width - len(covariates)
    named = tuple(names) or (("y",) if count == 1 else tuple(map(str, range(1, count + 1))))
    if not named or len(named) != count:
        beside = f" and {len(covariates)} covariates ({', '.join(covariates)})" if covariates else ""
        expected = f"{len(named)} channels ({', '.join(named)})" if named else "at least 1 channel"
        raise DataError(f"expected a column for each of {expected}{beside}, got {width}")
    return ChannelSet(tuple(series), named, "the data", covariates=tuple(covariates))


def read_channels(source: Any, columns: ChannelColumns | None = None) -> ChannelSet:
    """Read the rows of a table: a row for each stamp and series, a column for each channel.

    Args:
        source: a polars or pandas frame, or the path of a file (.csv, .tsv, .parquet; also .gz).
        columns: which columns are what. None: `ChannelColumns()`.

    Raises:
        DataError: the table has a fault. The message names the row and says what to do.
        ParameterError: `source` is neither.
    """
    columns = ChannelColumns() if columns is None else columns
    frame, origin = read_table(source, None) if isinstance(source, str | Path) else (source, Source("the data"))
    table = table_from_frame(frame, columns.time or Columns.time, origin)
    if table.frame.columns:
        existing_columns(table, Columns(None, table.frame.columns[0], ""), ())
    for name, kind in (("ignore", "channels"), ("covariates", "channels"), ("ignore", "covariates")):
        if both := set(getattr(columns, name)) & set(getattr(columns, kind)):
            raise ParameterError(name, f"columns that are not {kind}", min(both))
    time = _time(table, columns)
    label = _label(table, columns)
    if time is None:
        counted = pl.int_range(table.frame.height, eager=True).alias(_COUNTED)
        table = replace(table, frame=table.frame.with_columns(counted))
    channels = _channels(table, columns, time, label)
    read_too = (*channels, *columns.covariates)
    decimal = columns.decimal or decimal_mark(table, [name for name in read_too if name in table.frame.columns])
    of_rows = existing_columns(
        table,
        Columns(columns.id, time or _COUNTED, read_too[0], read_too[1:], (), (), decimal, columns.date_format),
        read_too,
    )
    if label is not None:
        table = replace(table, frame=table.frame.with_columns(_truth(table, label)))
    rows = sorted_rows(table, of_rows, (*read_too, *([label] if label else [])), None, _way_out)
    values, stamps = rows.block(read_too), rows.stamps
    flags = None if label is None else rows.values[label] == 1
    series = tuple(
        ChannelSeries(name, stamps[a:b], values[a:b], None if flags is None else flags[a:b])
        for name, a, b in zip(rows.ids, rows.begin[:-1].tolist(), rows.begin[1:].tolist(), strict=True)
    )
    date_format = columns.date_format or rows.form.ambiguous_text
    read = replace(columns, time=time, channels=channels, label=label or columns.label, date_format=date_format)
    read = replace(read, decimal=decimal)
    return ChannelSet(series, channels, origin.name, read, rows.form, library_of(source), columns.covariates)


def _time(table: Table, columns: ChannelColumns) -> str | None:
    there = table.frame.columns
    if columns.time is not None:
        if columns.time not in there:
            existing_columns(table, Columns(columns.id, columns.time, ""), ())
        return columns.time
    named = [name for name in there if name.strip().lower() in _TIMES and name not in columns.ignore]
    if named:
        _refuse_fractions(table, named[0])
        return named[0]
    return there[0] if there and there[0] not in columns.ignore and holds_dates(table.frame[there[0]]) else None


def _refuse_fractions(table: Table, name: str) -> None:
    """Raise DataError if a column that has the name of one with times holds numbers that are not whole."""
    column = table.frame[name]
    if column.dtype != pl.String and not column.dtype.is_float():
        return
    numbers = column.cast(pl.Float64, strict=False)
    fractions = (numbers % 1 != 0).fill_null(False)
    if not numbers.null_count() and fractions.any():
        row = int(fractions.arg_max() or 0)
        way_out = f"Leave the column out, and rows are counted: --ignore {name}."
        raise table.error(row, f"{name} is {column[row]!r}, a number with a fraction, expected a stamp. {way_out}")


def _label(table: Table, columns: ChannelColumns) -> str | None:
    there = table.frame.columns
    if columns.label is not None:
        if columns.label in columns.channels:
            raise ParameterError("label", "a column that is not a channel", columns.label)
        return columns.label if columns.label in there else None
    for name in there:
        if name.strip().lower() not in _LABELS or name in (*columns.channels, *columns.ignore, *columns.covariates):
            continue
        text = table.frame[name].cast(pl.String).str.strip_chars().str.to_lowercase()
        others = text.filter(~text.fill_null("").is_in(list(_FLAGS)))
        if others.is_empty():
            _log.info("%s: the column %r is taken for labels, and not for a channel", table.source.name, name)
            return name
        if not columns.channels:
            message = (
                "%s: the column %r is not taken for labels, as it holds %r; --label-column or --ignore says what it is"
            )
            _log.warning(message, table.source.name, name, others[0])
    return None


def _channels(table: Table, columns: ChannelColumns, time: str | None, label: str | None) -> tuple[str, ...]:
    frame, source = table.frame, table.source.name
    needed = (*columns.channels, *columns.covariates)
    missing = [name for name in (*needed, *columns.ignore) if name not in frame.columns]
    if missing and (set(missing) & set(needed)):
        there = replace(table, frame=frame.drop(_COUNTED, strict=False))
        existing_columns(there, Columns(None, frame.columns[0], ""), [name for name in missing if name in needed])
    if columns.channels:
        return columns.channels
    if missing:
        _log.warning("%s: no column %r, which is to be left out", source, missing[0])
    others = (columns.id, time, label, _COUNTED, *columns.ignore, *columns.covariates)
    rest = [name for name in frame.columns if name not in others]
    numbers = [name for name in rest if is_numbers(frame[name]) and frame[name].null_count() < frame.height]
    text = [name for name in rest if name not in numbers]
    for name in text:
        if _mostly_numbers(frame[name]):
            numeric_column(table, name, _way_out(name))  # raises an error that names the cell
    if text and numbers:
        shown = ", ".join(map(repr, text[:5]))
        _log.warning("%s: not read as channels, for they hold no numbers: %s", source, shown)
    if not numbers:
        listed = ", ".join(repr(name) for name in frame.columns if name != _COUNTED) or "none"
        raise DataError(f"{source}: no column of numbers to watch; there are {listed}. Name them with --channels.")
    return tuple(numbers)


def _mostly_numbers(column: pl.Series) -> bool:
    """Whether a column of text holds more numbers than other text."""
    if column.dtype != pl.String:
        return False
    text = column.str.strip_chars().str.to_lowercase().drop_nulls()
    numbers = text.filter(~text.is_in(MISSING)).cast(pl.Float64, strict=False)
    return len(numbers) > 2 * numbers.null_count()


def _way_out(name: str) -> str:
    return f"Correct it, or leave the column out: --ignore {name}."


def _truth(table: Table, name: str) -> pl.Series:
    """A column of labels as 0 and 1. Raises DataError for another value."""
    text = table.frame[name].cast(pl.String).str.strip_chars().str.to_lowercase().fill_null("")
    flags = text.replace_strict(_TRUTH, default=None, return_dtype=pl.Float64)
    if flags.null_count():
        row = int(flags.is_null().arg_max() or 0)
        got = table.frame[name][row]
        raise table.error(row, f"{name} is {got!r}, expected a label: 0 or 1, true or false, or an empty cell.")
    return flags.alias(name)
