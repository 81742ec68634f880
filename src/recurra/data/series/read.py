"""Series from files. The extension of the file name decides the format."""

import logging
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from recurra.data.files.csv_frame import csv_frame, csv_header, header_line
from recurra.data.files.text_file import check_file, read_text
from recurra.data.series.columns_of_series import headerless_names, is_date, is_row
from recurra.data.series.frame import series_from_frame
from recurra.data.series.frequency import Frequency
from recurra.data.series.future import attach_future, continued_by_frame
from recurra.data.series.numeric import is_numbers
from recurra.data.series.series_set import Columns, SeriesSet, trimmed
from recurra.data.series.table import Source
from recurra.data.series.tsf import series_from_tsf
from recurra.data.series.wide import is_wide, series_from_wide, wide_values
from recurra.errors import DataError

__all__ = [
    "PARQUET_ENDINGS",
    "TEXT_ENDINGS",
    "attach_future_file",
    "continuation",
    "read_frame",
    "read_series",
    "read_table",
]

_log = logging.getLogger("recurra.forecast")

# A line that may be one number, with spaces between thousands.
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?: \d{3})+(?:\.\d*)?")
TEXT_ENDINGS = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt")
_TSF = (".tsf", ".tsf.gz")
PARQUET_ENDINGS = (".parquet", ".pq")


def read_series(path: str | Path, columns: Columns | None = None, frequency: Frequency | None = None) -> SeriesSet:
    """Read the series of a file.

    .csv and .tsv (also .gz) hold a long table, or a wide one as in M4 with one row per series, which the header tells
    apart. The text is UTF-8, and the delimiter (comma, semicolon or tab) is detected. .parquet holds a long table. .tsf
    is the Monash format.

    Args:
        path: the file.
        columns: the column names of a long table. None: `Columns()`. Wide and .tsf files have no named columns.
        frequency: see `series_from_frame`. A wide file has no dates; for it the frequency gives the seasons only.

    Raises:
        DataError: the file has a fault. The message names the line and says what to do.
    """
    columns = Columns() if columns is None else columns
    if _kind(path, (*TEXT_ENDINGS, *_TSF, *PARQUET_ENDINGS)) in _TSF:
        _refuse_covariates(columns.past + columns.known, path, "a .tsf file")
        return series_from_tsf(read_text(path), frequency, str(path))
    if _kind(path) in PARQUET_ENDINGS:
        return series_from_frame(_read_parquet(path), columns, frequency, str(path))
    text = _table_text(path)
    if columns.header and is_wide(text, columns.time):
        _refuse_covariates(columns.past + columns.known + columns.static, path, "a wide file")
        return series_from_wide(text, frequency, str(path), columns.decimal)
    frame, source = _text_table(path, text, columns)
    return series_from_frame(_with_numbers(frame, columns.static), columns, frequency, source)


def read_frame(path: str | Path) -> pl.DataFrame:
    """Read a table: .parquet with its types, .csv and .tsv (also .gz) with all columns as text.

    Raises:
        DataError: the file is missing, or is not such a table.
    """
    return read_table(path, None)[0]


def attach_future_file(series_set: SeriesSet, path: str | Path) -> SeriesSet:
    """Attach future rows from a file, see `attach_future`. Messages name its lines."""
    return attach_future(series_set, *read_table(path, series_set.columns))


def continuation(series_set: SeriesSet, path: str | Path) -> SeriesSet:
    """Extend each series with later observations, from a wide file (as M4's test files) or a long one, by id.

    The values of a wide file directly follow the last y of each series. The stamps of a long file must follow it. Ids
    that the set does not have are ignored in a wide file and refused in a long one.

    Raises:
        DataError: the file does not continue one of the series, or has a fault.
    """
    is_text = _kind(path, (*TEXT_ENDINGS, *PARQUET_ENDINGS)) in TEXT_ENDINGS
    if is_text and is_wide(text := _table_text(path), series_set.columns.time):
        return _continued_by_wide(series_set, text, str(path))
    return continued_by_frame(series_set, *read_table(path, series_set.columns))


def _refuse_covariates(named: tuple[str, ...], path: str | Path, kind: str) -> None:
    if named:
        raise DataError(f"{path}: {kind} holds no covariates, but {', '.join(named)} are named. Give a long file.")


def _continued_by_wide(series_set: SeriesSet, text: str, source: str) -> SeriesSet:
    columns = series_set.columns
    if columns.past or columns.known:
        raise DataError(f"{source}: a wide file holds no covariates, but the series have some. Give a long file.")
    values = wide_values(text, source, columns.decimal)
    missing = [series.id for series in series_set if series.id not in values]
    if missing:
        listed = ", ".join(map(repr, missing[:3])) + (" ..." if len(missing) > 3 else "")
        there = ", ".join(map(repr, list(values)[:3]))
        raise DataError(f"{source}: no line continues {len(missing)} series ({listed}); it has {there} ...")
    continued = []
    for series in series_set:
        y = np.concatenate([series.y, values[series.id][0]])
        none = np.empty((len(y), 0))
        longer = trimmed(replace(series, y=y, past=none, known=none), series_set.frequency)
        assert longer is not None  # the series had an observed y before
        continued.append(longer)
    return replace(series_set, series=tuple(continued))


def _kind(path: str | Path, allowed: tuple[str, ...] = (*TEXT_ENDINGS, *_TSF, *PARQUET_ENDINGS)) -> str:
    name = Path(path).name.lower()
    for ending in sorted(allowed, key=len, reverse=True):
        if name.endswith(ending):
            return ending
    check_file(path)
    raise DataError(f"{path}: the file type is not supported, expected a name ending in {', '.join(allowed)}.")


def read_table(path: str | Path, columns: Columns | None) -> tuple[pl.DataFrame, Source]:
    """Read a table as `read_frame` does, and say where it comes from, for messages.

    Args:
        path: the file.
        columns: how a long table is read. None: its first line names the columns, whatever they hold.

    Raises:
        DataError: see `read_frame`.
    """
    if _kind(path, (*TEXT_ENDINGS, *PARQUET_ENDINGS)) in PARQUET_ENDINGS:
        return _read_parquet(path), Source(str(path))
    return _text_table(path, _table_text(path), columns)


def _text_table(path: str | Path, text: str, columns: Columns | None) -> tuple[pl.DataFrame, Source]:
    cells, delimiter = csv_header(text)
    line = header_line(text)
    if columns is None or columns.header:
        if columns is not None and is_row(cells):
            raise DataError(
                f"{path}, line {line}: {delimiter.join(cells[:3])!r} are values, expected the names of the columns. "
                "If the file has no header, say so with --no-header (header=False in ForecastReading)."
            )
        return csv_frame(text, str(path)), Source(str(path), "line", line + 1, delimiter)
    frame = csv_frame(text, str(path), headerless_names(cells, columns))
    if columns.time not in frame.columns and is_numbers(pl.Series(cells)):
        frame = frame.with_row_index(columns.time).with_columns(pl.col(columns.time).cast(pl.Int64))
    return frame, Source(str(path), "line", line, delimiter)


def _table_text(path: str | Path) -> str:
    """The text of a table. Spaces between numbers, as numpy.savetxt writes them, are tabs; a log message says so."""
    text = read_text(path)
    lines = text.split("\n", 2)[:2]
    cells = [line.split() for line in lines if line.strip()]
    thousands = any(_THOUSANDS.fullmatch(line.strip()) for line in lines)
    if thousands or any(re.search(r"[,;\t]", line) for line in lines) or len({len(row) for row in cells}) != 1:
        return text
    last = cells[-1]
    if len(last) < 2 or not all(is_numbers(pl.Series([cell])) for cell in last[is_date(last[0]) :]):
        return text
    _log.info("%s: spaces separate the columns", path)
    return re.sub(r" +", "\t", re.sub(r"(?m)^ +| +$", "", text))


def _read_parquet(path: str | Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(check_file(path))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path}: not a parquet file ({str(error).splitlines()[0]}).") from None


def _with_numbers(frame: pl.DataFrame, names: tuple[str, ...]) -> pl.DataFrame:
    """Convert static columns of text to numbers if all their values are numbers. CSV files do not state types."""
    for name in names:
        if name in frame.columns:
            text = frame[name].str.strip_chars().replace("", None)
            numbers = text.cast(pl.Float64, strict=False)
            frame = frame.with_columns((text if numbers.null_count() > text.null_count() else numbers).alias(name))
    return frame
