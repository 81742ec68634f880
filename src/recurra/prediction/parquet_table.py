"""Tables in Parquet files, read some rows at a time."""

from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from recurra.errors import DataError
from recurra.prediction.rows import Piece, Rows
from recurra.prediction.sources import TableFile

__all__ = ["ParquetTable"]

_EXPANSION = 4  # of compressed columns when they are read, about


class ParquetTable:
    """A table in a Parquet file. It takes the memory of the rows that are read, and of what decodes their row group.

    Args:
        file: the table.
        index: of the table among all.

    Attributes:
        schema: the type of each column.

    Raises:
        DataError: the file is cut short, or not Parquet.
    """

    def __init__(self, file: TableFile, index: int) -> None:
        self.file, self._index = file, index
        try:
            scan = pl.scan_parquet(file.path, glob=False)
            self.schema = dict(scan.collect_schema())
            self._height = int(scan.select(pl.len()).collect().item())
        except (pl.exceptions.PolarsError, OSError) as error:
            raise self._unreadable(error, "cut short, or not a Parquet file") from None

    def close(self) -> None:
        """Nothing stays open."""

    def chunks(self, columns: Sequence[str], rows: int, size: int, at: Piece | None = None) -> Iterator[Rows]:
        """Read rows, at most `rows` and about `size` bytes of them together; see `CsvTable.chunks`.

        Without columns nothing is read.

        Raises:
            DataError: the rows are damaged.
        """
        rows = max(1, min(rows, size * self._height // max(1, _EXPANSION * self.file.size)))
        if at is not None:
            rows = at.rows
        for start in range(0 if at is None else at.row - 1, self._height, rows):
            piece = Piece(self._index, start + 1, min(rows, self._height - start))
            frame = self._read(columns, piece) if columns else pl.DataFrame()
            yield Rows(piece, frame, {}, (), _ContentOf(frame))

    def _read(self, columns: Sequence[str], piece: Piece) -> pl.DataFrame:
        try:
            scan = pl.scan_parquet(self.file.path, glob=False).select(columns).slice(piece.row - 1, piece.rows)
            return scan.collect(engine="streaming")
        except (pl.exceptions.PolarsError, OSError) as error:
            raise self._unreadable(error, f"rows {piece.row:,} to {piece.row + piece.rows - 1:,} are damaged") from None

    def _unreadable(self, error: Exception, what: str) -> DataError:
        return DataError(f"{self.file.path}: {what} ({(str(error) or type(error).__name__).splitlines()[0]}).")


class _ContentOf:
    """The cells of a row of a frame, by column."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame

    def __call__(self, position: int) -> dict[str, Any]:
        return self._frame.row(position, named=True)
