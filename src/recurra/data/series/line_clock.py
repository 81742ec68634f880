"""The time between rows that come line by line."""

from dataclasses import replace

import numpy as np
import polars as pl

from recurra.data.series.row_times import RowTimes
from recurra.data.series.stamp_form import SINCE_1970, Unit
from recurra.data.series.stamps import parse_stamps
from recurra.data.series.table import Source, Table
from recurra.errors import DataError

__all__ = ["LineClock"]

_SECOND = 1e6  # in the unit of stamps that are times


class LineClock:
    """Reads the stamps of rows one by one.

    Args:
        times: of the training rows.
        source: where lines come from, for messages.
        date_format: the form of dates, as `datetime.strptime` takes it. None: it is recognised.

    Attributes:
        column: of the stamps.
    """

    def __init__(self, times: RowTimes, source: str, date_format: str | None = None) -> None:
        self.column, self._times = times.column, times
        self._source, self._date_format = Source(source, "line", 0), date_format
        self._last: str | None = None
        self._unit: Unit | None = None  # of whole numbers since 1970, which the first row tells

    def elapsed(self, cell: str, line: int) -> float:
        """The time since the row before, in seconds, or in units of the stamps if these are integers; 0 at first.

        Raises:
            DataError: the stamp cannot be read, is of another kind than those of training, or earlier than the last.
        """
        before = cell if self._last is None else self._last
        table = Table(pl.DataFrame({self.column: [cell, before]}), np.array([line, line - 1]), self._source)
        counts = cell.strip().isdecimal() and before.strip().isdecimal()
        if self._unit is not None and counts:
            passed = (int(cell) - int(before)) / SINCE_1970[self._unit]
        else:
            passed = self._between(table)
        if passed < 0:
            raise table.error(0, f"{self.column} is {cell!r}, earlier than in the row before. Sort the rows by it.")
        self._last = cell
        return passed

    def _between(self, table: Table) -> float:
        # Both stamps are read at once: whether midnights are days of a local calendar is for both to tell.
        try:
            stamps, form = parse_stamps(table, self.column, None, self._date_format)
        except DataError:
            alone = replace(table, frame=table.frame[:1], index=table.index[:1])
            self._check_kind(parse_stamps(alone, self.column, None, self._date_format)[0], table)
            raise
        self._check_kind(stamps, table)
        self._unit = form.unit or None
        now, before = stamps.astype(np.int64).tolist()
        return (now - before) / _SECOND if self._times.are_seconds else float(now - before)

    def _check_kind(self, stamps: np.ndarray, table: Table) -> None:
        if (stamps.dtype.kind == "M") != self._times.are_seconds:
            kind = "a date or time" if self._times.are_seconds else "an integer"
            raise table.error(0, f"{self.column} is {table.frame[self.column][0]!r}, expected {kind}, as in training.")
