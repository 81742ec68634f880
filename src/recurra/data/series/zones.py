"""Time zones: their names, fixed offsets, and the zone that offsets in text follow."""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
import polars as pl

__all__ = ["from_local", "minutes_of", "offset_text", "polars_zone", "to_local", "zone_of_offsets", "zone_of_python"]

_FIXED = re.compile(r"(?:UTC|GMT)?([+-])(\d{2}):?(\d{2})")
_HOUR = np.timedelta64(1, "h")
# The zones that are tried first: offsets are written again, not the zone's name, and many zones have the same.
_COMMON = (
    "Europe/Berlin",
    "Europe/London",
    "Europe/Helsinki",
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Los_Angeles",
    "Australia/Sydney",
)
_MOST_PROBES = 64


def to_local(utc: np.ndarray, zone: str) -> np.ndarray:
    """Times in UTC (N,), datetime64[us], as the clock of a zone shows them: a name such as Europe/Berlin, or +05:30."""
    offset = _fixed_offset(zone)
    if offset is not None:
        return utc + offset
    times = pl.Series(utc).dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    return times.dt.replace_time_zone(None).to_numpy()


def from_local(local: np.ndarray, zone: str) -> np.ndarray:
    """Times on the clock of a zone (N,), datetime64[us], in UTC.

    A time that the clock shows twice is the first of the two. One that it leaves out is an hour later.
    """
    offset = _fixed_offset(zone)
    if offset is not None:
        return local - offset
    exact, later = (
        pl.Series(times).dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
        for times in (local, local + _HOUR)
    )
    times = pl.select(pl.coalesce(exact, later)).to_series()
    return times.dt.convert_time_zone("UTC").dt.replace_time_zone(None).to_numpy()


def offset_text(local: np.ndarray, utc: np.ndarray, colon: bool) -> pl.Series:
    """What a clock is ahead of UTC (N,): +05:30, or +0530 without a colon."""
    minutes = ((local - utc) / np.timedelta64(1, "m")).astype(np.int64)
    values, index = np.unique(minutes, return_inverse=True)
    texts = [_offset_name(value, ":" if colon else "") for value in values.tolist()]
    return pl.Series(texts, dtype=pl.String).gather(index)


def polars_zone(zone: str) -> str:
    """The zone as polars names it; UTC for an offset that it has no name for, such as +05:30."""
    offset = _fixed_offset(zone)
    if offset is None:
        return zone
    hours, rest = divmod(int(offset / np.timedelta64(1, "m")), 60)
    # The signs of these names are those of POSIX: Etc/GMT-1 is an hour ahead of UTC.
    return f"Etc/GMT{-hours:+d}" if hours and not rest and -12 <= hours <= 14 else "UTC"


def zone_of_python(zone: str) -> tzinfo:
    """The zone as Python's datetime and pandas take it."""
    if zone == "UTC":
        return UTC  # pandas tells a ZoneInfo of this name from it
    offset = _fixed_offset(zone)
    return ZoneInfo(zone) if offset is None else timezone(timedelta(minutes=int(offset / np.timedelta64(1, "m"))))


def minutes_of(offsets: pl.Series) -> np.ndarray:
    """Offsets from UTC such as "+01:00" or "+0100" (N,) in minutes: (N,) int64."""
    texts = offsets.unique(maintain_order=True)
    return np.array([_minutes(text) for text in texts])[offsets.cast(pl.Enum(texts)).to_physical().to_numpy()]


def zone_of_offsets(utc: np.ndarray, offsets: pl.Series) -> str:
    """The zone whose clock is ahead of UTC as stated.

    Args:
        utc: (N,) datetime64[us].
        offsets: (N,) of "+01:00" or "+0100".

    Returns:
        The offset, if there is one only; else the name of a zone whose clock changed as they do. If there is none such,
        the last offset.
    """
    order = np.argsort(utc, kind="stable")
    minutes = minutes_of(offsets)[order]
    seconds = utc[order].astype("M8[s]").astype(np.int64)
    changes = np.flatnonzero(np.diff(minutes))[: _MOST_PROBES // 2]
    last = _offset_name(int(minutes[-1]), ":")
    if not len(changes):
        return last
    probes = np.unique(np.concatenate([[0, len(minutes) - 1], changes, changes + 1]))
    moments = [(datetime.fromtimestamp(int(seconds[k]), UTC), timedelta(minutes=int(minutes[k]))) for k in probes]
    names = available_timezones()
    for name in (*(name for name in _COMMON if name in names), *sorted(name for name in names if "/" in name)):
        zone = ZoneInfo(name)
        if all(moment.astimezone(zone).utcoffset() == offset for moment, offset in moments):
            return name
    return last


def _offset_name(minutes: int, separator: str) -> str:
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}{separator}{abs(minutes) % 60:02}"


def _fixed_offset(zone: str) -> np.timedelta64 | None:
    """The offset of a zone such as +05:30 or UTC+05:30. None: it is a name."""
    match = _FIXED.fullmatch(zone)
    return np.timedelta64(_minutes("".join(match.groups())), "m") if match else None


def _minutes(text: str) -> int:
    """The minutes of +05:30 or +0530."""
    sign = -1 if text[0] == "-" else 1
    return sign * (60 * int(text[1:3]) + int(text[-2:]))
