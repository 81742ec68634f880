"""Numeric columns from the text, numbers or booleans of a frame."""

import re

import numpy as np
import polars as pl

from recurra.data.series.table import Table

__all__ = ["MISSING", "numeric_column"]

# The common spellings of a missing value, in lower case.
MISSING = ("", "na", "n/a", "nan", "null", "none")

_COMMA = re.compile(r"[+-]?[\d.]*\d,\d[\d.,]*")


def numeric_column(table: Table, name: str, way_out: str) -> np.ndarray:
    """Convert a column to (N,) float64. Missing values (null, blank, "NA" and the like) become NaN, booleans 0 and 1.

    Args:
        table: the table.
        name: the column's name.
        way_out: a sentence for the message that says what to do about a column of text.

    Raises:
        DataError: a value is not a number, or is infinite.
    """
    column = table.frame[name]
    if column.dtype in (pl.Categorical, pl.Enum):
        column = column.cast(pl.String)
    if column.dtype == pl.String:
        text = column.str.strip_chars()
        absent = text.is_null() | text.str.to_lowercase().is_in(MISSING)
        truth = text.str.to_lowercase().replace_strict(["true", "false"], [1.0, 0.0], default=None)
        numbers = pl.select(pl.coalesce(text.cast(pl.Float64, strict=False), truth)).to_series()
        wrong = numbers.is_null() & ~absent
        numbers = pl.select(pl.when(~absent).then(numbers)).to_series()
    elif column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null):
        numbers = column.cast(pl.Float64)
        wrong = None
    else:
        row = int(column.is_not_null().arg_max() or 0)
        raise table.error(row, f"{name} is of type {column.dtype}, expected a number. {way_out}")
    if wrong is not None and wrong.any():
        row = int(wrong.arg_max() or 0)
        got = column[row]
        if isinstance(got, str) and _COMMA.fullmatch(got.strip()):
            way_out = "Write a decimal point, and no separator of thousands."
        raise table.error(row, f"{name} is {got!r}, expected a number, or an empty cell for a missing value. {way_out}")
    if (infinite := numbers.is_infinite()).any():
        row = int(infinite.arg_max() or 0)
        raise table.error(row, f"{name} is infinite, expected a finite number. Correct it, or leave it empty.")
    return numbers.fill_null(float("nan")).to_numpy()
