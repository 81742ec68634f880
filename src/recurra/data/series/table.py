"""A frame with its source. Error messages name the row or line as the user counts it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl

from recurra.errors import DataError, ParameterError

__all__ = ["Source", "Table", "table_from_frame"]


@dataclass(frozen=True)
class Source:
    """The origin of a frame.

    Args:
        name: the path of the file, or "frame".
        word: the word for a row: "row" in a frame, "line" in a file.
        first: what the first row is counted as: 0 in a frame, 2 in a file with a header line.
        delimiter: between the cells of a line of a file.
    """

    name: str = "frame"
    word: str = "row"
    first: int = 0
    delimiter: str = ","


@dataclass(frozen=True)
class Table:
    """A polars frame whose row i is row `index[i]` of its source.

    Attributes:
        frame: the frame.
        index: (N,) of each row in the source.
        source: where the frame comes from.
        pandas_types: the types in pandas of columns that polars has no type for: times with an offset from UTC, which
            are text here, and periods, which are their first moments.
    """

    frame: pl.DataFrame
    index: np.ndarray
    source: Source
    pandas_types: Mapping[str, str] = field(default_factory=dict)

    def location(self, row: int) -> str:
        """The row as the user counts it: "row 3", "line 5"."""
        return f"{self.source.word} {self.source.first + int(self.index[row])}"

    def error(self, row: int, text: str, series: str | None = None) -> DataError:
        """The error to raise for one row."""
        of = f" (series {series!r})" if series is not None else ""
        return DataError(f"{self.source.name}, {self.location(row)}{of}: {text}")

    def without_blank_rows(self, columns: list[str]) -> "Table":
        """The table without rows that are blank in all of `columns`, such as the empty lines of a file."""
        blank = pl.all_horizontal(
            (pl.col(name).str.strip_chars().fill_null("") == "")
            if self.frame.schema[name] == pl.String
            else pl.col(name).is_null()
            for name in columns
        )
        keep = ~self.frame.select(blank=blank)["blank"].to_numpy()
        return self if keep.all() else replace(self, frame=self.frame.filter(keep), index=self.index[keep])


def table_from_frame(frame: Any, time: str, source: Source) -> Table:
    """Convert a polars or pandas frame, or another eager frame that narwhals supports.

    A pandas index with the time stamps (a DatetimeIndex or PeriodIndex, or one whose name is `time`) becomes the column
    `time`. A period is its first moment.

    Raises:
        ParameterError: `frame` is not such a frame.
        DataError: a column name occurs twice.
    """
    pandas_types: dict[str, str] = {}
    if not isinstance(frame, pl.DataFrame):
        try:
            eager = nw.from_native(frame, eager_only=True)
        except nw.exceptions.DuplicateError:
            raise DataError(f"{source.name}: two columns have the same name. Rename one.") from None
        except TypeError:
            raise ParameterError("frame", "a polars or pandas DataFrame", type(frame).__name__) from None
        columns = {name: eager[name] for name in eager.columns}
        index = nw.maybe_get_index(eager)
        if time not in columns and index is not None and (_is_datetime(index) or index.name == time):
            columns[time] = nw.from_native(index.to_series(), series_only=True)
        frame = pl.DataFrame({name: _polars_column(column) for name, column in columns.items()})
        for name, column in columns.items():
            if _is_period(column) or (isinstance(column.dtype, nw.Datetime) and frame.schema[name] == pl.String):
                pandas_types[name] = str(column.to_native().dtype)
    return Table(frame, np.arange(frame.height), source, pandas_types)


def _is_datetime(index: Any) -> bool:
    return str(index.dtype).startswith(("datetime64", "period"))


def _is_period(column: nw.Series[Any]) -> bool:
    return str(column.to_native().dtype).startswith("period")


def _polars_column(column: nw.Series[Any]) -> pl.Series:
    # narwhals' own conversion needs pyarrow for string columns of pandas.
    if column.dtype.is_numeric() or isinstance(column.dtype, nw.Datetime):
        values = column.to_numpy()
        if isinstance(column.dtype, nw.Datetime) and column.dtype.time_zone:
            return _zoned(column, values, column.dtype.time_zone)
        return pl.Series(values.astype("M8[us]") if values.dtype.kind == "M" else values)
    missing = column.is_null().to_list()
    values = [None if gone else value for gone, value in zip(missing, column.to_list(), strict=True)]
    if _is_period(column):
        values = [None if value is None else value.start_time.to_pydatetime() for value in values]
    return pl.Series(values, strict=False)


def _zoned(column: nw.Series[Any], utc: np.ndarray, zone: str) -> pl.Series:
    try:
        return pl.Series(utc.astype("M8[us]")).dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    except pl.exceptions.ComputeError:  # an offset such as UTC+01:00, which polars does not take for a zone
        return pl.Series([value.isoformat() if value == value else None for value in column.to_list()])
