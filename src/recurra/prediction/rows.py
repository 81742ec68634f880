"""Rows of a table that were read together, and the piece of the table that they are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

__all__ = ["Piece", "Rows"]


@dataclass(frozen=True)
class Piece:
    """Rows of one table that follow each other.

    Attributes:
        file: the index of the table among all.
        row: the first of the rows, from 1.
        rows: how many.
        offset: of CSV, where the first begins in the bytes of the table.
        line: of CSV, the line of the table on which it begins, from 1; 0: it has no lines.
    """

    file: int
    row: int
    rows: int
    offset: int = 0
    line: int = 0


@dataclass(frozen=True)
class Rows:
    """The rows of a piece.

    Attributes:
        piece: where they come from.
        frame: the columns that were asked for, null in a row that cannot be read.
        faults: why rows cannot be read, by position in the frame.
        lines: of CSV, the line on which each begins; empty: they have none.
        content: the cells of the row at a position, by column or, if they do not fit the columns, as a list.
    """

    piece: Piece
    frame: pl.DataFrame
    faults: Mapping[int, str]
    lines: Sequence[int]
    content: Callable[[int], Any]
