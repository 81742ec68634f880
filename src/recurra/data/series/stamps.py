"""Conversion of time stamps from columns and to text."""

import logging
import re
import shlex
from datetime import time

import numpy as np
import polars as pl

from recurra.data.series.frequency import Frequency
from recurra.data.series.table import Table
from recurra.errors import DataError

__all__ = ["parse_stamps", "stamp_text"]

_log = logging.getLogger("recurra.forecast")

_FORMATS = (
    "%Y-%m-%d",
    "%Y-%m",
    "%Y%m%d",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%d %H:%M%z",
    "%Y-%m-%d %H:%M:%S%.f%z",
)
# The smallest and the largest integer that is read as a date, and the digits that complete it to YYYYMMDD.
_DATES = ((1800_01_01, 2199_12_31, ""), (1800_01, 2199_12, "01"))
_YEARS = (1000, 2999, "0101")
# The smallest and the largest integer that is read as seconds or milliseconds since 1970, 1980 to 2099, and the unit.
_SINCE_1970 = (
    (315_532_800, 4_102_444_799, "seconds", 1_000_000),
    (315_532_800_000, 4_102_444_799_999, "milliseconds", 1000),
)
_DAY_AND_MONTH = r"^(\d{1,2})([./-])(\d{1,2})[./-]\d{4}(?:[ T]\d{1,2}:\d{2}(:\d{2})?)?$"
_OFFSET = r"[+-]\d{2}:?\d{2}$"
_LOCAL_MIDNIGHT = r" 00:00(?::00(?:\.0+)?)?" + _OFFSET
_DAY = 86_400_000_000
_WAY_OUT = (
    "Write ISO stamps such as 2024-01-31, 2024-01-31 05:00 or 2024-01, or integers; give the form of the dates "
    "with --date-format, as in %d.%m.%y; or name another column with --time-column."
)


def stamp_text(stamp: np.datetime64 | np.integer | int) -> str:
    """The shortest text of a stamp: "17", "2024-01-31", "2024-01-31 05:00"."""
    if not isinstance(stamp, np.datetime64):
        return str(stamp)
    text = np.datetime_as_string(stamp.astype("M8[us]")).replace("T", " ")
    return re.sub(r"( 00:00)?(:00)?(\.0+)?$", "", text, count=1)


def parse_stamps(table: Table, name: str, frequency: Frequency | None, date_format: str | None = None) -> np.ndarray:
    """The time stamps of a column: (N,) datetime64[us], or int64 for positions.

    Times with a zone are converted to UTC, unless all are at local midnight: these are days of the local calendar,
    which a change of the clock makes longer or shorter. Integers are positions, except dates such as 20240131 and
    202401, and seconds or milliseconds since 1970 from 1980 on. With a frequency in months 2024 is a date too; with the
    frequency "step" all integers are positions. Dates such as 31.01.2024 are read if a day above 12 tells it from the
    month.

    Raises:
        DataError: a stamp is missing, unreadable or ambiguous.
    """
    column = table.frame[name]
    if column.dtype in (pl.Categorical, pl.Enum):
        column = column.cast(pl.String)
    if column.dtype == pl.String:
        column = column.str.strip_chars().replace("", None)
    if column.null_count():
        row = int(column.is_null().arg_max() or 0)
        raise table.error(row, f"{name} (the stamp) is missing. Fill it in or remove the row.")
    if isinstance(column.dtype, pl.Datetime):
        zoneless = column
        if column.dtype.time_zone:
            days = _may_be_days(frequency) and (column.dt.time() == time(0)).all()
            zoneless = column if days else column.dt.convert_time_zone("UTC")
        return zoneless.dt.replace_time_zone(None).cast(pl.Datetime("us")).to_numpy()
    if column.dtype == pl.Date:
        return column.cast(pl.Datetime("us")).to_numpy()
    if date_format is not None:
        return _from_form(table, name, column.cast(pl.String), date_format)
    whole = column.cast(pl.Int64, strict=False) if column.dtype.is_numeric() or column.dtype == pl.String else None
    if whole is not None and not whole.null_count() and not (column.dtype.is_float() and (whole != column).any()):
        return _from_integers(whole, frequency, table.source.name)
    if column.dtype != pl.String:
        row = int((whole != column).arg_max() or 0) if whole is not None and column.dtype.is_float() else 0
        raise table.error(row, f"{name} is {column[row]!r}, expected a stamp. {_WAY_OUT}")
    form = _day_and_month(table, column)
    return _from_text(table, name, column, frequency) if form is None else _from_form(table, name, column, form)


def _from_form(table: Table, name: str, column: pl.Series, form: str) -> np.ndarray:
    stamps = _parsed(column, form)
    if stamps.null_count():
        row = int(stamps.is_null().arg_max() or 0)
        raise table.error(row, f"{name} is {column[row]!r}, expected a date of the form {form}. Correct it.")
    return stamps.to_numpy()


def _day_and_month(table: Table, column: pl.Series) -> str | None:
    """The form of dates such as 31.01.2024 or 1/31/2024, if all are so. A log message says which it is."""
    parts = column.str.extract_groups(_DAY_AND_MONTH).struct.unnest()
    if parts["1"].null_count() or parts["2"].n_unique() != 1:
        return None
    large = [bool((parts[part].cast(pl.Int64) > 12).any()) for part in ("1", "3")]
    separator, seconds = parts["2"][0], parts["4"].null_count() == 0
    times = f" %H:%M{':%S' if seconds else ''}" if ":" in column[0] else ""
    forms = [f"%d{separator}%m{separator}%Y{times}", f"%m{separator}%d{separator}%Y{times}"]
    if large == [False, False]:
        raise DataError(
            f"{table.source.name}: {column[0]} may begin with the day or the month. Say which with "
            f"--date-format {shlex.quote(forms[0])} or {shlex.quote(forms[1])}."
        )
    form = forms[0 if large[0] else 1]
    _log.info("%s: dates such as %s are read as %s", table.source.name, column[0], form)
    return form


def _from_integers(column: pl.Series, frequency: Frequency | None, source: str) -> np.ndarray:
    forms = [] if frequency is not None and frequency.unit == "step" else [*_DATES]
    if forms:
        for low, high, unit, microseconds in _SINCE_1970:
            # 2024013105 is the fifth hour of a day, not a second of 2034.
            hours = (column.cast(pl.String) + "00").str.to_datetime("%Y%m%d%H%M", time_unit="us", strict=False)
            if unit == "seconds" and not hours.null_count():
                return hours.to_numpy()
            if column.is_between(low, high).all():
                times = (column * microseconds).cast(pl.Datetime("us"))
                shown = stamp_text(times.to_numpy()[0])
                _log.info("%s: %d is read as %s since 1970, %s UTC", source, column[0], unit, shown)
                return times.to_numpy()
    if frequency is not None and frequency.unit == "mo":
        forms.append(_YEARS)
    for low, high, rest_of_date in forms:
        if column.is_between(low, high).all():
            text = column.cast(pl.String) + rest_of_date
            dates = text.str.to_datetime("%Y%m%d", time_unit="us", strict=False)
            if not dates.null_count():
                return dates.to_numpy()
    return column.to_numpy()


def _may_be_days(frequency: Frequency | None) -> bool:
    """Whether stamps of that frequency, if all are at midnight, may be days of the local calendar."""
    return frequency is None or frequency.unit == "mo" or frequency.count % _DAY == 0


def _from_text(table: Table, name: str, column: pl.Series, frequency: Frequency | None) -> np.ndarray:
    text = column.str.replace(r"^(\d{4})/(\d{1,2})", "${1}-${2}").str.replace(r"^(\d{4}-\d{1,2})/", "${1}-")
    text = text.str.replace(r"^([\d-]+)T", "${1} ").str.replace(r" ?(?:Z|UTC)$", "+00:00")
    if _may_be_days(frequency) and text.str.contains(_LOCAL_MIDNIGHT).all():
        text = text.str.replace(_OFFSET, "")
    for quarter, month in enumerate(("01", "04", "07", "10"), 1):
        text = text.str.replace(rf"^(\d{{4}})[- ]?[Qq]{quarter}$", f"${{1}}-{month}")
    # The parser (chrono) would read "1/2/24" as the year 1.
    text = pl.select(pl.when(text.str.contains(r"^\d{4}")).then(text)).to_series()
    stamps = pl.Series([None], dtype=pl.Datetime("us")).new_from_index(0, len(text))
    # The first unread stamp selects a format, which is tried on all stamps. One pass is usually enough.
    while (unread := stamps.is_null()).any():
        row = int(unread.arg_max() or 0)
        form = next((form for form in _FORMATS if _parsed(text[row : row + 1], form).null_count() == 0), None)
        if form is None:
            raise table.error(row, f"{name} is {column[row]!r}, which is not a stamp. {_WAY_OUT}")
        stamps = pl.select(pl.coalesce(stamps, _parsed(text, form))).to_series()
    return stamps.to_numpy()


def _parsed(text: pl.Series, form: str) -> pl.Series:
    return text.str.to_datetime(form, time_unit="us", strict=False).dt.replace_time_zone(None)
