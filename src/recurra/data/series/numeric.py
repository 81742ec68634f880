"""Numeric columns from the text, numbers or booleans of a frame."""

import logging
import re
from collections.abc import Iterable

import numpy as np
import polars as pl

from recurra.data.series.table import Table
from recurra.errors import DataError

__all__ = ["MISSING", "are_plain_numbers", "decimal_mark", "is_numbers", "numeric_column", "plain_numbers"]

_log = logging.getLogger("recurra.forecast")

# The common spellings of a missing value, in lower case.
MISSING = ("", "na", "n/a", "nan", "null", "none")

# A number with the decimal mark as {0}, whose thousands may be apart by one of {1}, or by a space or an apostrophe.
_NUMBER = r"^[+-]?(?:[1-9]\d{{0,2}}(?:[{1} \u00a0\u202f'\u2019]\d{{3}})+|\d*)(?:{0}\d*)?(?:[eE][+-]?\d+)?$"
_NUMBERS = {".": _NUMBER.format(r"\.", ","), ",": _NUMBER.format(",", ".")}
_THOUSANDS = {".": r"[, \u00a0\u202f'\u2019]", ",": r"[. \u00a0\u202f'\u2019]"}
_WORDS = {".": "a decimal point", ",": "a decimal comma"}
# Three digits follow a point, which may as well be one of thousands.
_THREE = r"^[+-]?[1-9]\d{0,2}\.\d{3}$"


def decimal_mark(table: Table, names: Iterable[str]) -> str:
    """The decimal mark, "." or ",", with which all numbers in the columns of text agree.

    The numbers of a table are taken together. A log message says how they are read, if they are not plain numbers with
    a decimal point.

    Raises:
        DataError: the numbers may have either mark, such as 1,234.
    """
    text = _numbers_in_text(table, names)
    odd = _odd(text)
    source = table.source.name
    if odd.is_empty():
        with_point = text.filter(text.str.contains(".", literal=True))
        if table.source.delimiter == ";" and len(with_point) and with_point.str.contains(_THREE).all():
            _log.info(
                "%s: %s is read with a decimal point; if the point separates thousands, give --decimal ,",
                source,
                with_point[0],
            )
        return "."
    marks = [mark for mark, form in _NUMBERS.items() if text.str.contains(form).all()]
    if len(marks) == 2 and odd.str.contains(",", literal=True).any():
        raise DataError(
            f"{source}: {odd[0]} may have a decimal comma or a comma between thousands. Say which with --decimal , or "
            "--decimal ."
        )
    if not marks:
        return "."
    _log.info("%s: numbers such as %s are read with %s", source, odd[0], _WORDS[marks[0]])
    return marks[0]


def are_plain_numbers(table: Table, names: Iterable[str]) -> bool:
    """Whether all numbers in the columns of text are plain numbers with a decimal point."""
    return _odd(_numbers_in_text(table, names)).is_empty()


def _numbers_in_text(table: Table, names: Iterable[str]) -> pl.Series:
    columns = [table.frame[name].rename("") for name in names if table.frame[name].dtype == pl.String]
    text = pl.concat(columns).drop_nulls().str.strip_chars() if columns else pl.Series(dtype=pl.String)
    return text.filter(~text.str.to_lowercase().is_in((*MISSING, "true", "false", "inf", "-inf")))


def _odd(text: pl.Series) -> pl.Series:
    return text.filter(text.cast(pl.Float64, strict=False).is_null())


def is_numbers(column: pl.Series) -> bool:
    """Whether all values of a column are numbers, with a decimal point or comma, or missing."""
    if column.dtype != pl.String:
        return column.dtype.is_numeric() or column.dtype == pl.Null
    text = column.str.strip_chars().drop_nulls()
    text = text.filter(~text.str.to_lowercase().is_in(MISSING))
    return any(bool(text.str.contains(form).all()) for form in _NUMBERS.values())


def numeric_column(table: Table, name: str, way_out: str, decimal: str = ".") -> np.ndarray:
    """Convert a column to (N,) float64. Missing values (null, blank, "NA" and the like) become NaN, booleans 0 and 1.

    Args:
        table: the table.
        name: the column's name.
        way_out: a sentence for the message that says what to do about a column of text.
        decimal: the decimal mark of numbers in text, "." or ",". The other, spaces and apostrophes may separate
            thousands.

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
        numbers = pl.select(pl.coalesce(_plain(text, decimal).cast(pl.Float64, strict=False), truth)).to_series()
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
        if isinstance(got, str) and any(re.match(form, got.strip()) for form in _NUMBERS.values()):
            way_out = (
                f"The table is read with {_WORDS[decimal]}; --decimal gives the mark, which all numbers must have."
            )
        raise table.error(row, f"{name} is {got!r}, expected a number, or an empty cell for a missing value. {way_out}")
    if (infinite := numbers.is_infinite()).any():
        row = int(infinite.arg_max() or 0)
        raise table.error(row, f"{name} is infinite, expected a finite number. Correct it, or leave it empty.")
    return numbers.fill_null(float("nan")).to_numpy()


def plain_numbers(text: pl.Series, decimal: str) -> np.ndarray:
    """Numbers of text (N,): float64, NaN if the text stands for a missing value, infinite if it is not a number."""
    text = text.str.strip_chars()
    numbers = _plain(text, decimal).cast(pl.Float64, strict=False).fill_null(float("inf"))
    return (
        pl.select(pl.when(text.str.to_lowercase().is_in(MISSING)).then(float("nan")).otherwise(numbers))
        .to_series()
        .to_numpy()
    )


def _plain(text: pl.Series, decimal: str) -> pl.Series:
    """Numbers without separators of thousands, and with a decimal point. Other text stays as it is."""
    if decimal == "." and not text.cast(pl.Float64, strict=False).null_count():
        return text
    plain = text.str.replace_all(_THOUSANDS[decimal], "").str.replace(decimal, ".", literal=True)
    # With a decimal comma stated, 1.5 is neither a number nor one with thousands: null, not 15.
    instead = None if decimal == "," else text
    return pl.select(pl.when(text.str.contains(_NUMBERS[decimal])).then(plain).otherwise(instead)).to_series()
