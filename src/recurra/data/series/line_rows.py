"""Rows of measurements that come line by line."""

import csv
from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from recurra.data.series.numeric import plain_numbers
from recurra.errors import DataError

__all__ = ["LineRows"]


class LineRows:
    """Rows of CSV, of which the first line names the columns. Cells are separated by tabs, semicolons or commas.

    Iterating yields for each row the number of its line, from 2, all its cells by column, and its numbers by name, None
    if missing. Empty lines are left out.

    Args:
        lines: without their ends, as they come.
        source: where they come from, for messages.
        names: of the columns of numbers.
        decimal: the decimal mark.

    Attributes:
        columns: the names of all columns.

    Raises:
        DataError: a column is missing; while iterating, a line has a fault.
    """

    def __init__(self, lines: Iterator[str], source: str, names: Sequence[str], decimal: str) -> None:
        self._lines, self._source, self._names, self._decimal = lines, source, names, decimal
        header = next(lines, "")
        self._delimiter = next((mark for mark in ("\t", ";") if mark in header), ",")
        self.columns = [name.strip() for name in next(csv.reader([header], delimiter=self._delimiter), [])]
        if missing := [name for name in names if name not in self.columns]:
            raise DataError(
                f"{source}, line 1: expected the names of the columns, with {', '.join(names)} among them; missing: "
                f"{', '.join(missing)}."
            )

    def __iter__(self) -> Iterator[tuple[int, dict[str, str], dict[str, float | None]]]:
        for number, line in enumerate(self._lines, 2):
            if not line.strip():
                continue
            values = next(csv.reader([line], delimiter=self._delimiter))
            if len(values) != len(self.columns):
                raise DataError(
                    f"{self._source}, line {number}: expected {len(self.columns)} cells, as in line 1, got "
                    f"{len(values)}"
                )
            cells = dict(zip(self.columns, values, strict=True))
            yield number, cells, {name: self._number(cells[name], name, number) for name in self._names}

    def _number(self, cell: str, name: str, line: int) -> float | None:
        [number] = plain_numbers(pl.Series([cell]), self._decimal)
        if np.isinf(number):
            raise DataError(
                f"{self._source}, line {line}: {name} is {cell!r}, expected a number, or an empty cell for a missing "
                "value."
            )
        return None if np.isnan(number) else float(number)
