"""The time between rows that come line by line."""

import numpy as np
import polars as pl

from recurra.data.series.row_times import RowTimes
from recurra.data.series.stamps import parse_stamps
from recurra.data.series.table import Source, Table

__all__ = ["LineClock"]

_SECOND = 1_000_000  # in the unit of stamps that are times
_UNITS = {"seconds": _SECOND, "milliseconds": 1000}  # since 1970


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
        self._last: int | None = None
        self._unit = 0  # of whole numbers since 1970, which the first row tells

    def elapsed(self, cell: str, line: int) -> float:
        """The time since the row before, in seconds, or in units of the stamps if these are integers; 0 at first.

        Raises:
            DataError: the stamp cannot be read, is of another kind than those of training, or earlier than the last.
        """
        table = Table(pl.DataFrame({self.column: [cell]}), np.array([line]), self._source)
        now = int(cell) * self._unit if self._unit and cell.strip().isdecimal() else self._stamp(table)
        passed = 0 if self._last is None else now - self._last
        if passed < 0:
            raise table.error(0, f"{self.column} is {cell!r}, earlier than in the row before. Sort the rows by it.")
        self._last = now
        return passed / _SECOND if self._times.are_seconds else float(passed)

    def _stamp(self, table: Table) -> int:
        stamps, form = parse_stamps(table, self.column, None, self._date_format)
        if (stamps.dtype.kind == "M") != self._times.are_seconds:
            kind = "a date or time" if self._times.are_seconds else "an integer"
            cell = table.frame[self.column][0]
            raise table.error(0, f"{self.column} is {cell!r}, expected {kind}, as in training.")
        self._unit = _UNITS.get(form.unit or "", 0)
        return int(stamps.astype(np.int64)[0])
