"""Series that are split across tables, brought together: partitions on disk, each with whole series."""

import io
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import polars as pl

from recurra.errors import RunError
from recurra.prediction.bad_rows import bad_row_lines
from recurra.prediction.rows import Piece, Rows
from recurra.prediction.tables import Tables

__all__ = ["FILE", "ROW", "partition_series", "read_partition"]

# Columns of a partition that say where a row comes from; no table has such names.
FILE, ROW = "\0file", "\0row"
_ROWS_AT_ONCE = 200_000
_LENGTH = struct.Struct("<Q")


@dataclass
class _Series:
    """The series of all tables: the index of each id by its first row, and how many rows each has."""

    index: dict[str, int]
    rows: list[int]


def partition_series(
    tables: Tables, columns: list[str], id_column: str | None, piece_rows: int, folder: Path
) -> tuple[list[Piece], int]:
    """Write all rows of each series into one partition.

    Series are in the order of their first rows, and the rows of each in theirs. All tables are read twice: first the
    ids, of which there is one in memory for each series, then the rows.

    Args:
        tables: whose rows are steps.
        columns: to read.
        id_column: the column that tells series apart; None: all rows are one series.
        piece_rows: a partition is full once it has so many rows.
        folder: of the partitions, an empty one; `bad-rows.csv` is written there too.

    Returns:
        The partitions, of which `rows` is used; and how many rows are left out, as they cannot be read or have no id.

    Raises:
        DataError: a table cannot be read.
        RunError: a file cannot be written.
    """
    series = _count(tables, id_column)
    ends = accumulate(series.rows)
    partition_of, sizes, begun = [], [0], 0
    for rows, end in zip(series.rows, ends, strict=True):
        if sizes[-1] and end - begun > piece_rows:
            begun = end - rows
            sizes.append(0)
        sizes[-1] += rows
        partition_of.append(len(sizes) - 1)
    bad = 0
    try:
        with open(folder / "bad-rows.csv", "wb") as bad_file:
            for chunk in tables.chunks(columns, _ROWS_AT_ONCE):
                bad += _distribute(chunk, tables, id_column, series, partition_of, folder, bad_file)
            bad_file.flush()
            os.fsync(bad_file.fileno())
    except OSError as error:
        raise RunError(f"{folder}: cannot be written ({error.strerror or error})") from error
    return [Piece(0, 0, size) for size in sizes if size], bad


def read_partition(folder: Path, index: int) -> pl.DataFrame:
    """The rows of a partition, with the columns `FILE`, an index, and `ROW`, from 1.

    Raises:
        RunError: the partition is missing or damaged.
    """
    path = _path(folder, index)
    try:
        return pl.concat(list(_frames(path)))
    except (OSError, ValueError, struct.error, pl.exceptions.PolarsError) as error:
        reason = str(error).splitlines()[0]
        raise RunError(f"{path}: missing or damaged ({reason}). Remove {folder.parent} and begin anew.") from None


def _count(tables: Tables, id_column: str | None) -> _Series:
    series = _Series({}, [])
    for chunk in tables.chunks([] if id_column is None else [id_column], _ROWS_AT_ONCE):
        if id_column is None:
            counts = [("", chunk.piece.rows - len(chunk.faults))]
        else:
            counted = _ids(chunk, id_column).drop_nulls().to_frame("id").group_by("id", maintain_order=True).len()
            counts = counted.iter_rows()
        for name, rows in counts:
            at = series.index.setdefault(name, len(series.rows))
            if at == len(series.rows):
                series.rows.append(0)
            series.rows[at] += rows
    return series


def _ids(chunk: Rows, id_column: str) -> pl.Series:
    """The ids of rows as text. Blanks are null."""
    return chunk.frame[id_column].cast(pl.String).str.strip_chars().replace("", None)


def _distribute(
    chunk: Rows,
    tables: Tables,
    id_column: str | None,
    series: _Series,
    partition_of: list[int],
    folder: Path,
    bad_file: io.BufferedWriter,
) -> int:
    """Append the rows of a chunk to their partitions. Returns how many are bad."""
    faults = dict(chunk.faults)
    if id_column is None:
        codes = pl.Series([0], dtype=pl.Int64).new_from_index(0, chunk.piece.rows)
    else:
        ids = _ids(chunk, id_column)
        for position in ids.is_null().arg_true().to_list():
            faults.setdefault(position, f"{id_column} (the series id) is missing. Fill it in.")
        unique = ids.drop_nulls().unique()
        codes = ids.replace_strict(unique, [partition_of[series.index[one]] for one in unique], return_dtype=pl.Int64)
    first, path = chunk.piece.row, tables.files[chunk.piece.file].path
    bad = [
        (path, first + at, chunk.lines[at] if chunk.lines else 0, reason, chunk.content(at))
        for at, reason in sorted(faults.items())
    ]
    bad_file.write(bad_row_lines(bad))
    frame = chunk.frame.with_columns(
        pl.lit(chunk.piece.file, pl.Int64).alias(FILE),
        pl.int_range(first, first + chunk.piece.rows, dtype=pl.Int64).alias(ROW),
    )
    if faults:
        good = pl.Series(range(chunk.piece.rows)).is_in(list(faults)).not_()
        frame, codes = frame.filter(good), codes.filter(good)
    for (code,), rows in frame.with_columns(codes.alias("\0code")).partition_by(
        "\0code", maintain_order=True, include_key=False, as_dict=True
    ).items():  # fmt: skip
        _append(rows, _path(folder, int(code)))
    return len(bad)


def _path(folder: Path, index: int) -> Path:
    return folder / f"partition-{index}.arrow"


def _append(rows: pl.DataFrame, path: Path) -> None:
    data = io.BytesIO()
    rows.write_ipc_stream(data)
    content = data.getvalue()
    with open(path, "ab") as file:
        file.write(_LENGTH.pack(len(content)) + content)


def _frames(path: Path) -> Iterator[pl.DataFrame]:
    with open(path, "rb") as file:
        while head := file.read(_LENGTH.size):
            yield pl.read_ipc_stream(io.BytesIO(file.read(*_LENGTH.unpack(head))))
