"""Time series on a regular grid."""

import hashlib
import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from difflib import get_close_matches
from functools import cached_property
from typing import Any, overload

import numpy as np
import polars as pl

from recurra.data.series.frequency import Frequency, Stamp
from recurra.data.series.native_frame import Library
from recurra.data.series.stamp_form import StampForm
from recurra.errors import DataError, ParameterError

__all__ = ["Columns", "Series", "SeriesSet", "StoredSeries", "trimmed", "univariate"]


@dataclass(frozen=True)
class Columns:
    """How a long frame is read: the names of its columns, and the form of the numbers and dates in its text.

    Args:
        id: the column with the id of each row's series. None: the frame holds one series.
        time: the column with the time stamps.
        target: the column to forecast.
        past: covariates that are known up to the present only.
        known: covariates that are known for the future too.
        static: attributes that do not vary within a series.
        decimal: the decimal mark of numbers in text, "." or ",". None: it is recognised.
        date_format: the form of dates in text, as `datetime.strptime` takes it. None: it is recognised.
        header: whether the first line of a text file has the names of the columns.
        unit: of the target, which pictures name; empty: they name none.

    Raises:
        ParameterError: a column has two roles.
    """

    id: str | None = "unique_id"
    time: str = "ds"
    target: str = "y"
    past: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    decimal: str | None = None
    date_format: str | None = None
    header: bool = True
    unit: str = ""

    def __post_init__(self) -> None:
        names = [name for name in self.all if name is not None]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ParameterError("columns", "each column in one role", ", ".join(twice))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Columns":
        """Create the object from its fields in JSON, which has lists for tuples."""
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**fields)

    @property
    def all(self) -> tuple[str | None, ...]:
        """The names of all columns, in the order of the fields."""
        return (self.id, self.time, self.target, *self.past, *self.known, *self.static)


@dataclass(frozen=True, eq=False)
class Series:
    """One series of T steps with P past covariates, K known covariates and F future rows of the latter.

    Missing values are NaN.

    Args:
        id: the name of the series.
        start: the stamp of y[0]: datetime64[us], or an integer position.
        y: (T,) float64. The first value is observed.
        past: (T, P) float64.
        known: (T + F, K) float64.
        static: raw values, numbers or categories.
    """

    id: str
    start: Stamp
    y: np.ndarray
    past: np.ndarray
    known: np.ndarray
    static: tuple[float | str, ...]

    def __len__(self) -> int:
        return len(self.y)

    @property
    def future_rows(self) -> int:
        """F, the number of rows of known covariates beyond y."""
        return len(self.known) - len(self.y)


class StoredSeries(Sequence[Series]):
    """Series of a table that are mapped from a file, once one of them is asked for.

    Args:
        about: the JSON values from which they are found again.
        values: all of the set but the arrays, as JSON values; see `recurra.data.series.store`.
        digest: of the set.
        map_all: maps the series. It raises DataError or RunError if they are not there. It is pickled with the object,
            which the arrays are not.
    """

    def __init__(
        self, about: dict[str, Any], values: dict[str, Any], digest: str, map_all: Callable[[], tuple[Series, ...]]
    ) -> None:
        self.about, self.values, self.digest = about, values, digest
        self._map_all = map_all

    def __len__(self) -> int:
        return len(self.values["ids"])

    @overload
    def __getitem__(self, index: int) -> Series: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Series, ...]: ...
    def __getitem__(self, index: int | slice) -> Series | tuple[Series, ...]:
        return self._mapped[index]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_mapped"}

    @cached_property
    def _mapped(self) -> tuple[Series, ...]:
        return self._map_all()


@dataclass(frozen=True, eq=False)
class SeriesSet:
    """Series of one frequency, from one source, with unique ids.

    Args:
        series: the series; `StoredSeries` if they are all those of a large table.
        frequency: the step of their grid.
        columns: the column names of the long frame that they come from, or would make.
        source: where they come from, for messages: a path, or "frame".
        library: of the frame they come from; see `recurra.data.series.native_frame`.
        integer_ids: whether the ids were integers in that frame; here they are text.
        horizon: the steps to forecast that the file states (.tsf). None: it states none.
        form: in which the stamps came.
    """

    series: Sequence[Series]
    frequency: Frequency
    columns: Columns
    source: str
    library: Library = "polars"
    integer_ids: bool = False
    horizon: int | None = None
    form: StampForm = field(default_factory=StampForm)

    def __len__(self) -> int:
        return len(self.series)

    def __iter__(self) -> Iterator[Series]:
        return iter(self.series)

    def __contains__(self, series_id: object) -> bool:
        return series_id in self._index_of

    def __getitem__(self, series_id: str) -> Series:
        """The series with this id. Raises DataError if the set does not have it."""
        if series_id not in self._index_of:
            close = get_close_matches(series_id, self._index_of, n=1)
            raise DataError(
                f"{self.source}: no series {series_id!r} among its {len(self)}"
                + (f"; did you mean {close[0]!r}?" if close else ".")
            )
        return self.series[self._index_of[series_id]]

    @cached_property
    def _index_of(self) -> dict[str, int]:
        return {series.id: index for index, series in enumerate(self.series)}

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids, in order."""
        return tuple(series.id for series in self.series)

    def id_column(self, rows: np.ndarray) -> pl.Series:
        """The ids of the series with these indices (N,) as they came: integers or text."""
        ids = pl.Series(self.ids, dtype=pl.String).gather(rows)
        return ids.cast(pl.Int64) if self.integer_ids else ids

    @property
    def lengths(self) -> np.ndarray:
        """The length T of each series: (N,) int64."""
        return np.array([len(series) for series in self.series], dtype=np.int64)

    def stamps(self, series: Series, horizon: int = 0) -> np.ndarray:
        """The stamps of y and of `horizon` steps beyond it: (T + horizon,) datetime64[us] or int64."""
        return self.frequency.stamps(series.start, len(series) + horizon)

    def stamps_at(self, series: Series, positions: np.ndarray) -> np.ndarray:
        """The stamps of steps (N,), counted from the first y: (N,) datetime64[us] or int64."""
        return self.frequency.stamps_at(series.start, positions)

    def last_stamp(self, series: Series) -> Any:
        """The stamp of the last y: datetime64[us] or int64."""
        return self.stamps_at(series, np.array([len(series) - 1]))[0]

    def steps_until(self, series: Series, stamp: int) -> int:
        """How many steps of y are not after a stamp, in microseconds or as a position."""
        positions = range(len(series))
        return bisect_right(
            positions, stamp, key=lambda k: int(self.stamps_at(series, np.array([k])).astype(np.int64)[0])
        )

    @property
    def is_mapped(self) -> bool:
        """Whether the series are mapped from a file, and not held in memory."""
        return isinstance(self.series[0].y, np.memmap)

    def until(self, drop: int) -> "SeriesSet":
        """The set without the last `drop` steps of y of each series. Their known covariates become future rows.

        A series of at most `drop` steps is left out; the result may be empty.

        Raises:
            ParameterError: `drop` is negative.
        """
        if drop < 0:
            raise ParameterError("drop", "0 or more steps", drop)
        shorter = (
            replace(series, y=series.y[: len(series) - drop], past=series.past[: len(series) - drop])
            for series in self.series
            if len(series) > drop
        )
        return replace(self, series=tuple(shorter))

    def digest(self) -> str:
        """A checksum of ids, stamps, values, columns and frequency."""
        if isinstance(self.series, StoredSeries):
            return self.series.digest
        facts = [asdict(self.columns), str(self.frequency), [(s.id, str(s.start), s.static) for s in self.series]]
        digest = hashlib.sha256(json.dumps(facts).encode())
        for series in self.series:
            for values in (series.y, series.past, series.known):
                digest.update(str(values.shape).encode())
                digest.update(np.ascontiguousarray(values).data)
        return digest.hexdigest()

    def select(self, ids: Iterable[str]) -> "SeriesSet":
        """The series with these ids, in this order. Raises DataError if one is not in the set."""
        return replace(self, series=tuple(self[series_id] for series_id in ids))


def trimmed(series: Series, frequency: Frequency) -> Series | None:
    """Cut a series to its first and last observed y. The result is None if y is missing throughout.

    Rows of known covariates after the last observed y become future rows, up to the last row with a value.

    Args:
        series: the series. y may begin and end with missing values; known may be longer than y.
        frequency: the frequency of the series, from which the new start is computed.
    """
    observed = np.flatnonzero(~np.isnan(series.y))
    if not len(observed):
        return None
    first, end = int(observed[0]), int(observed[-1]) + 1
    ahead = np.flatnonzero(~np.isnan(series.known[end:]).all(axis=1))
    future = int(ahead[-1]) + 1 if len(ahead) else 0
    start = frequency.stamps_at(series.start, np.array([first]))[0] if first else series.start
    return replace(
        series,
        start=start if isinstance(start, np.datetime64) else int(start),
        y=series.y[first:end],
        past=series.past[first:end],
        known=series.known[first : end + future],
    )


def univariate(
    series_id: str, start: Stamp, y: np.ndarray, frequency: Frequency, static: tuple[float | str, ...] = ()
) -> Series | None:
    """A trimmed series without covariates from y (T,) float64. The result is None if y is missing throughout."""
    none = np.empty((len(y), 0))
    return trimmed(Series(series_id, start, y, none, none, static), frequency)
