"""The tables that are predicted together: the same columns in each."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace

import polars as pl

from recurra.data.files.delimited import missing_column
from recurra.errors import DataError
from recurra.prediction.csv_table import CsvTable
from recurra.prediction.parquet_table import ParquetTable
from recurra.prediction.rows import Piece, Rows
from recurra.prediction.sources import TableFile

__all__ = ["PIECE_BYTES", "Tables"]

PIECE_BYTES = 1 << 26  # of rows that are read together, about


class Tables:
    """Tables, one of which is open at a time.

    Args:
        files: of one kind.
    """

    def __init__(self, files: Sequence[TableFile]) -> None:
        self.files = list(files)
        self._open: tuple[int, CsvTable | ParquetTable] | None = None

    def close(self) -> None:
        """Close the table that is open."""
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def table(self, index: int) -> CsvTable | ParquetTable:
        """The table at an index. Raises DataError if it cannot be read."""
        if self._open is None or self._open[0] != index:
            self.close()
            file = self.files[index]
            self._open = index, (CsvTable if file.kind == "csv" else ParquetTable)(file, index)
        return self._open[1]

    def check(self, columns: Sequence[tuple[str, str]], text: str | None) -> list[str]:
        """Check before any work that all tables can be opened and have the same columns.

        Args:
            columns: that are needed, each with the option that names it.
            text: the column that has to be text; None: there is none, and all columns of the tables are read.

        Returns:
            The columns that are read.

        Raises:
            DataError: a column is missing, or of another type than in the first table; one that is empty has none.
        """
        first = self.table(0).schema
        names = list(dict.fromkeys(name for name, _ in columns)) if text is not None else list(first)
        for index, file in enumerate(self.files):
            schema = self.table(index).schema
            for name, option in columns:
                if name not in schema:
                    raise missing_column(file.path, name, list(schema), option)
            for name in names:
                if name not in schema:
                    raise missing_column(file.path, name, list(schema), "--data", f" It is in {self.files[0].path}.")
                if schema[name] not in (first[name], pl.Null):
                    raise DataError(
                        f"{file.path}: the column {name!r} is of type {schema[name]}, but {first[name]} in "
                        f"{self.files[0].path}. Write both alike."
                    )
        if text is not None and first[text] != pl.String:
            raise DataError(
                f"{self.files[0].path}: the column {text!r} is of type {first[text]}, expected text (String). Name the "
                "column of the texts with --text-column."
            )
        return names

    def chunks(self, columns: Sequence[str], rows: int) -> Iterator[Rows]:
        """All rows of all tables in order, some of one table at a time. Raises DataError."""
        for index in range(len(self.files)):
            for chunk in self.table(index).chunks(columns, rows, PIECE_BYTES):
                yield self._typed(chunk)

    def read(self, columns: Sequence[str], piece: Piece) -> Rows:
        """The rows of a piece. Raises DataError."""
        return self._typed(next(self.table(piece.file).chunks(columns, piece.rows, sys.maxsize, piece)))

    def _typed(self, rows: Rows) -> Rows:
        """The rows; columns that have nothing in their table are of the type that they have in the first."""
        empty = [name for name, kind in rows.frame.schema.items() if kind == pl.Null]
        if not empty:
            return rows
        first = self.table(0).schema
        return replace(rows, frame=rows.frame.with_columns(pl.col(name).cast(first[name]) for name in empty))
