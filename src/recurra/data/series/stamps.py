"""Time stamps from columns of text, dates, times and integers."""

import logging
import re
import shlex
from dataclasses import replace
from datetime import time

import numpy as np
import polars as pl

from recurra.data.series.frequency import Frequency
from recurra.data.series.stamp_form import StampForm, form_of_text
from recurra.data.series.table import Table
from recurra.data.series.zones import zone_of_offsets
from recurra.errors import DataError

__all__ = ["parse_stamps"]

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
# The smallest and the largest integer that is read as a date, the digits that complete it to YYYYMMDD, and its form.
_DATES = ((1800_01_01, 2199_12_31, "", "%Y%m%d"), (1800_01, 2199_12, "01", "%Y%m"))
_YEARS = (1000, 2999, "0101", "%Y")
# The smallest and the largest integer that is read as seconds or milliseconds since 1970, 1980 to 2099, and the unit.
_SINCE_1970 = (
    (315_532_800, 4_102_444_799, "seconds", 1_000_000),
    (315_532_800_000, 4_102_444_799_999, "milliseconds", 1000),
)
_DAY_AND_MONTH = r"^(\d{1,2})([./-])(\d{1,2})[./-]\d{4}(?:[ T]\d{1,2}:\d{2}(:\d{2})?)?$"
_ISO_DAY = r"^\d{4}[/-]\d{1,2}[/-]"
_OFFSET = r"[+-]\d{2}:?\d{2}$"
_LOCAL_MIDNIGHT = r" 00:00(?::00(?:\.0+)?)?" + _OFFSET
_DAY = 86_400_000_000
_WAY_OUT = (
    "Write ISO stamps such as 2024-01-31, 2024-01-31 05:00 or 2024-01, or integers; give the form of the dates "
    "with --date-format, as in %d.%m.%y; or name another column with --time-column."
)


def parse_stamps(
    table: Table, name: str, frequency: Frequency | None, date_format: str | None = None
) -> tuple[np.ndarray, StampForm]:
    """The time stamps of a column: (N,) datetime64[us], or int64 for positions, and the form in which they came.

    Times with a zone are converted to UTC, unless all are at local midnight: these are days of the local calendar,
    which a change of the clock makes longer or shorter. Offsets in text that change are taken for those of a zone,
    which a log message names. Integers are positions, except dates such as 20240131 and 202401, and seconds or
    milliseconds since 1970 from 1980 on. With a frequency in months 2024 is a date too; with the frequency "step" all
    integers are positions. Dates such as 31.01.2024 are read if a day above 12 tells it from the month. A
    `date_format` that does not begin with the year is for text that is not ISO.

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
        return _from_times(column, frequency, table.pandas_types.get(name, ""))
    if column.dtype == pl.Date:
        return column.cast(pl.Datetime("us")).to_numpy(), StampForm("date")
    from_text_file = table.source.word == "line"
    plain = StampForm("text" if column.dtype == pl.String else "integer", from_text_file=from_text_file)
    if date_format is not None and (
        date_format.startswith("%Y") or not column.cast(pl.String).str.contains(_ISO_DAY).all()
    ):
        return _from_form(table, name, column.cast(pl.String), date_format, plain)
    whole = column.cast(pl.Int64, strict=False) if column.dtype.is_numeric() or column.dtype == pl.String else None
    if whole is not None and not whole.null_count() and not (column.dtype.is_float() and (whole != column).any()):
        return _from_integers(whole, frequency, table.source.name, plain)
    if column.dtype != pl.String:
        row = int((whole != column).arg_max() or 0) if whole is not None and column.dtype.is_float() else 0
        raise table.error(row, f"{name} is {column[row]!r}, expected a stamp. {_WAY_OUT}")
    if name in table.pandas_types:
        plain = replace(plain, kind="datetime")
    form = _day_and_month(table, column)
    if form is None:
        return _from_text(table, name, column, frequency, plain)
    return _from_form(table, name, column, form, plain)


def _from_times(column: pl.Series, frequency: Frequency | None, pandas_type: str) -> tuple[np.ndarray, StampForm]:
    zone = getattr(column.dtype, "time_zone", None)
    days = zone is not None and _may_be_days(frequency) and bool((column.dt.time() == time(0)).all())
    times = column if zone is None or days else column.dt.convert_time_zone("UTC")
    stamps = times.dt.replace_time_zone(None).cast(pl.Datetime("us")).to_numpy()
    period = re.fullmatch(r"period\[(.+)\]", pandas_type)
    return stamps, StampForm(zone=zone, is_local=days, period=period[1] if period else "")


def _from_form(table: Table, name: str, column: pl.Series, form: str, plain: StampForm) -> tuple[np.ndarray, StampForm]:
    stamps = _parsed(column, form)
    if stamps.null_count():
        row = int(stamps.is_null().arg_max() or 0)
        raise table.error(row, f"{name} is {column[row]!r}, expected a date of the form {form}. Correct it.")
    for k, without_zeros in enumerate((r"^\d[./-]", r"^\d{1,2}[./-]\d[./-]")):
        if column.str.contains(without_zeros).any():
            form = re.sub(rf"^((?:%-?[dm][./-]){{{k}}})%([dm])", r"\1%-\2", form)
    return stamps.to_numpy(), replace(plain, text=form, zone="UTC" if "%z" in form or "%:z" in form else None)


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


def _from_integers(
    column: pl.Series, frequency: Frequency | None, source: str, plain: StampForm
) -> tuple[np.ndarray, StampForm]:
    forms = [] if frequency is not None and frequency.unit == "step" else [*_DATES]
    if forms:
        for low, high, unit, microseconds in _SINCE_1970:
            # 2024013105 is the fifth hour of a day, not a second of 2034.
            hours = (column.cast(pl.String) + "00").str.to_datetime("%Y%m%d%H%M", time_unit="us", strict=False)
            if unit == "seconds" and not hours.null_count():
                return hours.to_numpy(), replace(plain, text="%Y%m%d%H")
            if column.is_between(low, high).all():
                times = (column * microseconds).cast(pl.Datetime("us")).to_numpy()
                shown = StampForm().shown(times[0])
                _log.info("%s: %d is read as %s since 1970, %s UTC", source, column[0], unit, shown)
                return times, replace(plain, unit=unit)
    if frequency is not None and frequency.unit == "mo":
        forms.append(_YEARS)
    for low, high, rest_of_date, form in forms:
        if column.is_between(low, high).all():
            text = column.cast(pl.String) + rest_of_date
            dates = text.str.to_datetime("%Y%m%d", time_unit="us", strict=False)
            if not dates.null_count():
                return dates.to_numpy(), replace(plain, text=form)
    return column.to_numpy(), plain


def _may_be_days(frequency: Frequency | None) -> bool:
    """Whether stamps of that frequency, if all are at midnight, may be days of the local calendar."""
    return frequency is None or frequency.unit == "mo" or frequency.count % _DAY == 0


def _from_text(
    table: Table, name: str, column: pl.Series, frequency: Frequency | None, plain: StampForm
) -> tuple[np.ndarray, StampForm]:
    text = column.str.replace(r"^(\d{4})/(\d{1,2})", "${1}-${2}").str.replace(r"^(\d{4}-\d{1,2})/", "${1}-")
    text = text.str.replace(r"^([\d-]+)T", "${1} ").str.replace(r" ?(?:Z|UTC)$", "+00:00")
    offsets = text.str.extract(rf":\d{{2}}(?:\.\d+)? ?({_OFFSET})")
    zoned = offsets.null_count() == 0
    is_local = zoned and _may_be_days(frequency) and bool(text.str.contains(_LOCAL_MIDNIGHT).all())
    if is_local:
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
    zone = _zone(table, stamps.to_numpy(), column, offsets, is_local) if zoned else None
    return stamps.to_numpy(), replace(plain, text=form_of_text(column), zone=zone, is_local=is_local)


def _zone(table: Table, stamps: np.ndarray, column: pl.Series, offsets: pl.Series, is_local: bool) -> str:
    """The zone of stamps in text that have offsets. A log message names it if the offsets change."""
    if bool(column.str.contains(r"(?:Z|UTC)$").all()):
        return "UTC"
    zone = zone_of_offsets(stamps, offsets, is_local)
    if offsets.n_unique() > 1:
        _log.info("%s: the offsets of the stamps change; they are taken for those of %s", table.source.name, zone)
    return zone


def _parsed(text: pl.Series, form: str) -> pl.Series:
    return text.str.to_datetime(form, time_unit="us", strict=False).dt.replace_time_zone(None)
