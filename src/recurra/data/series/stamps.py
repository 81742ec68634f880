"""Time stamps from columns of text, dates, times and integers."""

import logging
import re
import shlex
from dataclasses import replace

import numpy as np
import polars as pl

from recurra.data.series.frequency import Frequency
from recurra.data.series.stamp_form import SINCE_1970, StampForm, form_of_text, from_counts
from recurra.data.series.table import Table
from recurra.data.series.zones import minutes_of, zone_of_offsets
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
# Seconds since 1970 are read as such from 1980 to 2099, and so are their fractions.
_SINCE_1970 = (315_532_800, 4_102_444_799)
# Day numbers of Excel, from 2000 to 2050, and their origin.
_EXCEL = (36_526, 55_153, np.datetime64("1899-12-30"))
_DAY_AND_MONTH = r"^(\d{1,2})([./-])(\d{1,2})[./-]\d{4}(?:[ T]\d{1,2}:\d{2}(:\d{2})?(?: ?([AaPp][Mm]))?)?$"
# Dates that can be read in one way only: of months by name, weeks of ISO 8601, and months as statistical offices write.
_NAMED = (
    *(
        form.format(month=month)
        for month in ("%b", "%B")
        for form in ("%d-{month}-%y", "%d-{month}-%Y", "%d {month} %Y", "{month} %d, %Y", "{month} %Y", "{month}-%Y")
    ),
    "%G-W%V",
    "%YM%m",
)
_ISO_DAY = r"^\d{4}[/-]\d{1,2}[/-]"
_OFFSET = r"[+-]\d{2}:?\d{2}$"
_HOUR = 3_600_000_000
_DAY = 24 * _HOUR
# Of the stamps of a series by the local clock, at least so many are at a time of day that at least so many share.
_REGULAR, _SHARED = 0.9, 0.02
_WAY_OUT = (
    "Write ISO stamps such as 2024-01-31, 2024-01-31 05:00 or 2024-01, or integers; give the form of the dates "
    "with --date-format, as in %d.%m.%y; or name another column with --time-column."
)


def parse_stamps(
    table: Table, name: str, frequency: Frequency | None, date_format: str | None = None
) -> tuple[np.ndarray, StampForm]:
    """The time stamps of a column: (N,) datetime64[us], or int64 for positions, and the form in which they came.

    Times with a zone are converted to UTC, unless they are by the local calendar: all at local midnight, or at fewer
    times of day by the local clock than in UTC, such as daily at 06:00 also after a change of the clock. Offsets in
    text that change are taken for those of a zone, which a log message names. Integers are positions, except dates
    such as 20240131 and 202401, and seconds, milliseconds, microseconds or nanoseconds since 1970 from 1980 on. With
    a frequency in months 2024 is a date too; with the frequency "step" all integers are positions. Dates such as
    31.01.2024 are read if a day above 12 tells it from the month. A `date_format` that does not begin with the year
    is for text that is not ISO.

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
    whole = _whole_numbers(column)
    if not whole.null_count():
        return _from_integers(whole, frequency, table.source.name, plain)
    if column.dtype != pl.String or not column.cast(pl.Float64, strict=False).null_count():
        row = int(whole.is_null().arg_max() or 0)
        raise table.error(row, f"{name} is {column[row]!r}, expected a stamp. {_WAY_OUT}")
    if name in table.pandas_types:
        plain = replace(plain, kind="datetime")
    form = _named(column) or _day_and_month(table, column)
    if form is None:
        return _from_text(table, name, column, frequency, plain)
    return _from_form(table, name, column, form, plain)


def _whole_numbers(column: pl.Series) -> pl.Series:
    """The whole numbers of a column as integers, such as 5, "5" and "5.0"; null for all else."""
    if not column.dtype.is_numeric() and column.dtype != pl.String:
        return pl.Series([None], dtype=pl.Int64).new_from_index(0, len(column))
    if not column.dtype.is_float() and not (whole := column.cast(pl.Int64, strict=False)).null_count():
        return whole
    numbers = column.cast(pl.Float64, strict=False)
    whole = numbers.cast(pl.Int64, strict=False)
    return pl.select(pl.when(whole == numbers).then(whole)).to_series()


def _from_times(column: pl.Series, frequency: Frequency | None, pandas_type: str) -> tuple[np.ndarray, StampForm]:
    zone = getattr(column.dtype, "time_zone", None)
    stamps = column.dt.replace_time_zone(None).cast(pl.Datetime("us")).to_numpy()
    is_local = False
    if zone is not None:
        utc = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None).cast(pl.Datetime("us")).to_numpy()
        is_local = _by_local_calendar(stamps, utc, frequency)
        stamps = stamps if is_local else utc
    period = re.fullmatch(r"period\[(.+)\]", pandas_type)
    return stamps, StampForm(zone=zone, is_local=is_local, period=period[1] if period else "")


def _from_form(table: Table, name: str, column: pl.Series, form: str, plain: StampForm) -> tuple[np.ndarray, StampForm]:
    stamps = _parsed(column, form)
    if stamps.null_count():
        row = int(stamps.is_null().arg_max() or 0)
        raise table.error(row, f"{name} is {column[row]!r}, expected a date of the form {form}. Correct it.")
    for k, without_zeros in enumerate((r"^\d[./-]", r"^\d{1,2}[./-]\d[./-]")):
        if column.str.contains(without_zeros).any():
            form = re.sub(rf"^((?:%-?[dm][./-]){{{k}}})%([dm])", r"\1%-\2", form)
    return stamps.to_numpy(), replace(plain, text=form, zone="UTC" if "%z" in form or "%:z" in form else None)


def _named(column: pl.Series) -> str | None:
    """The form, one of `_NAMED`, of most dates, if the first one is of it."""
    forms = [form for form in _NAMED if not _parsed(column[:1], form).null_count()]
    return min(forms, key=lambda form: _parsed(column, form).null_count(), default=None)


def _day_and_month(table: Table, column: pl.Series) -> str | None:
    """The form of dates such as 31.01.2024 or 1/31/2024, if all are so. A log message says which it is."""
    parts = column.str.extract_groups(_DAY_AND_MONTH).struct.unnest()
    unlike = parts["1"].is_null()
    if 2 * unlike.sum() > len(unlike) or parts["2"].drop_nulls().n_unique() != 1:
        return None
    if unlike.any():
        row, like = int(unlike.arg_max() or 0), column.filter(~unlike)[0]
        raise table.error(row, f"{column.name} is {column[row]!r}, expected a date such as {like}. Correct it.")
    large = [bool((parts[part].cast(pl.Int64) > 12).any()) for part in ("1", "3")]
    separator, seconds = parts["2"][0], parts["4"].null_count() == 0
    clock = "%I:%M{} %p" if parts["5"].null_count() == 0 else "%H:%M{}"
    times = f" {clock.format(':%S' if seconds else '')}" if ":" in column[0] else ""
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
        # 2024013105 is the fifth hour of a day, not a second of 2034.
        hours = (column.cast(pl.String) + "00").str.to_datetime("%Y%m%d%H%M", time_unit="us", strict=False)
        if not hours.null_count():
            return hours.to_numpy(), replace(plain, text="%Y%m%d%H")
        for unit, per_second in SINCE_1970.items():
            low, high = (limit * per_second for limit in _SINCE_1970)
            if column.is_between(low, high).all():
                times = from_counts(column.to_numpy(), unit)
                _log.info(
                    "%s: %d is read as %s since 1970, %s UTC", source, column[0], unit, StampForm().shown(times[0])
                )
                return times, replace(plain, unit=unit)
    if frequency is not None and frequency.unit == "mo":
        forms.append(_YEARS)
    for low, high, rest_of_date, form in forms:
        if column.is_between(low, high).all():
            text = column.cast(pl.String) + rest_of_date
            dates = text.str.to_datetime("%Y%m%d", time_unit="us", strict=False)
            if not dates.null_count():
                return dates.to_numpy(), replace(plain, text=form)
    low, high, origin = _EXCEL
    if frequency is None and column.is_between(low, high).all():
        _log.info(
            "%s: %d is read as a position; if it is a day number of Excel, it is %s: write dates",
            *(source, column[0], origin + column[0]),
        )
    return column.to_numpy(), plain


def _by_local_calendar(local: np.ndarray, utc: np.ndarray, frequency: Frequency | None) -> bool:
    """Whether stamps with a zone, (N,) by its clock and in UTC, are regular by the local calendar.

    They are if all are at local midnight, and if the clock shows them at fewer times of day than UTC does, more than an
    hour apart. A few stamps may be wrong. Hours are regular in UTC.
    """
    step = None if frequency is None or frequency.unit == "mo" else frequency.count
    times, counts = np.unique(local.astype(np.int64) % _DAY, return_counts=True)
    if (times == 0).all():
        return step is None or step % _DAY == 0
    shared = counts >= _SHARED * len(local)
    apart = int(np.gcd.reduce([_DAY, *np.diff(times[shared])]))
    return (
        (step is None or step > _HOUR)
        and counts[shared].sum() >= _REGULAR * len(local)
        and apart > _HOUR
        and len(times) < len(np.unique(utc.astype(np.int64) % _DAY))
    )


def _from_text(
    table: Table, name: str, column: pl.Series, frequency: Frequency | None, plain: StampForm
) -> tuple[np.ndarray, StampForm]:
    text = column.str.replace(r"^(\d{4})/(\d{1,2})", "${1}-${2}").str.replace(r"^(\d{4}-\d{1,2})/", "${1}-")
    text = text.str.replace(r"^([\d-]+)T", "${1} ").str.replace(r" ?(?:Z|UTC)$", "+00:00")
    offsets = text.str.extract(rf":\d{{2}}(?:\.\d+)? ?({_OFFSET})")
    zoned = offsets.null_count() == 0
    if zoned:
        text = text.str.replace(rf" ?{_OFFSET}", "")
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
    if not zoned and offsets.null_count() < len(offsets):
        without = offsets.is_null()
        row = int((without if 2 * without.sum() <= len(without) else ~without).arg_max() or 0)
        raise table.error(
            row,
            f"{name} is {column[row]!r}, {'without an' if without[row] else 'with an'} offset from UTC, unlike most "
            "stamps. Write all with an offset, or none.",
        )
    plain = replace(plain, text=form_of_text(column))
    if not zoned:
        return stamps.to_numpy(), plain
    local = stamps.to_numpy()
    utc = local - minutes_of(offsets) * np.timedelta64(1, "m")
    is_local = _by_local_calendar(local, utc, frequency)
    zone = _zone(table, utc, column, offsets)
    return local if is_local else utc, replace(plain, zone=zone, is_local=is_local)


def _zone(table: Table, utc: np.ndarray, column: pl.Series, offsets: pl.Series) -> str:
    """The zone of stamps in text that have offsets. A log message names it if the offsets change."""
    if bool(column.str.contains(r"(?:Z|UTC)$").all()):
        return "UTC"
    zone = zone_of_offsets(utc, offsets)
    if offsets.n_unique() > 1:
        _log.info("%s: the offsets of the stamps change; they are taken for those of %s", table.source.name, zone)
    return zone


def _parsed(text: pl.Series, form: str) -> pl.Series:
    if form.endswith("%V"):
        text, form = text + "-1", form + "-%u"  # a week is its Monday
    return text.str.to_datetime(form, time_unit="us", strict=False).dt.replace_time_zone(None)
