"""The .tsf format of the Monash forecasting archive (Godahewa et al. 2021, https://forecastingdata.org)."""

import logging
import re
from dataclasses import dataclass, field

import numpy as np

from recurra.data.series.frequency import Frequency
from recurra.data.series.series_set import Columns, Series, SeriesSet, univariate
from recurra.errors import DataError

__all__ = ["series_from_tsf"]

_log = logging.getLogger("recurra.forecast")

_UNITS = {
    "second": "s",
    "minute": "m",
    "minutely": "m",
    "hour": "h",
    "hourly": "h",
    "day": "d",
    "daily": "d",
    "week": "w",
    "weekly": "w",
    "month": "mo",
    "monthly": "mo",
    "quarterly": "q",
    "yearly": "y",
}
_FREQUENCY = re.compile(r"(?:(\d+)_)?([a-z]+?)s?")


@dataclass
class _Header:
    attributes: list[tuple[str, str]] = field(default_factory=list)
    frequency: Frequency | None = None
    horizon: int | None = None


def series_from_tsf(text: str, frequency: Frequency | None, source: str) -> SeriesSet:
    """Read the series of a .tsf file.

    "?" is a missing value. The attribute `series_name` is the id; other attributes become static columns. Without the
    attribute `start_timestamp`, or without a frequency, the series have integer positions, and the frequency gives the
    seasons only. `@horizon` becomes the horizon of the set.

    Args:
        text: the content of the file.
        frequency: it replaces the @frequency of the file; a log message says so if they differ. None: the file's own.
        source: the name of the file in messages.

    Raises:
        DataError: the file does not follow the format. The message names the line.
    """
    header = _Header()
    series: dict[str, Series] = {}
    step: Frequency | None = None
    for index, raw in enumerate(text.splitlines(), 1):
        line, location = raw.strip(), f"{source}, line {index}"
        if not line or line.startswith("#"):
            continue
        if line.lower() == "@data":
            step = _grid_frequency(header, frequency, source)
        elif line.startswith("@"):
            _read_header(header, line, location, frequency)
        elif step is None:
            raise DataError(f"{location}: {line[:40]!r} before @data, expected a line that begins with @ or #.")
        else:
            one = _read_series(line, header, step, location, len(series) + 1)
            if one.id in series:
                raise DataError(f"{location}: series {one.id!r} occurs twice. Rename one.")
            series[one.id] = one
    if step is None or not series:
        raise DataError(f"{source}: no {'series after @data' if step else '@data section'}. Is it a .tsf file?")
    static = tuple(name for name, _ in header.attributes if name not in ("series_name", "start_timestamp"))
    return SeriesSet(tuple(series.values()), step, Columns(static=static), source, horizon=header.horizon)


def _read_header(header: _Header, line: str, location: str, frequency: Frequency | None) -> None:
    keyword, *words = line.split()
    keyword, value = keyword.lower(), " ".join(words)
    if keyword == "@attribute":
        if len(words) != 2 or words[1] not in ("string", "date", "numeric"):
            raise DataError(f"{location}: {line!r}, expected @attribute NAME string, date or numeric.")
        header.attributes.append((words[0], words[1]))
    elif keyword == "@horizon":
        if not value.isdecimal() or int(value) < 1:
            raise DataError(f"{location}: the @horizon {value!r}, expected a whole number of at least 1.")
        header.horizon = int(value)
    elif keyword == "@frequency":
        header.frequency = _frequency(value)
        if header.frequency is None and frequency is None:
            raise DataError(f"{location}: the @frequency {value!r} is not known. State one, as in --frequency 1h.")


def _frequency(word: str) -> Frequency | None:
    """The frequency that the format calls so. None: there is no such one."""
    if word == "half_hourly":
        return Frequency.parse("30m")
    match = _FREQUENCY.fullmatch(word.lower())
    if match is None or match[2] not in _UNITS or match[1] == "0":
        return None
    return Frequency.parse(f"{match[1] or ''}{_UNITS[match[2]]}")


def _grid_frequency(header: _Header, frequency: Frequency | None, source: str) -> Frequency:
    has_start = any(name == "start_timestamp" for name, _ in header.attributes)
    of_file = header.frequency
    if of_file is not None and not has_start:
        of_file = of_file.without_calendar()
    if frequency is None:
        if of_file is None and has_start:
            _log.info("%s: without @frequency the dates are not used; --frequency states one", source)
        return of_file or Frequency(1, "step")
    stated = frequency if has_start else frequency.without_calendar()
    if of_file is not None and of_file != stated:
        _log.warning("%s: the frequency is %s as stated; the file's @frequency is %s", source, stated, of_file)
    return stated


def _read_series(line: str, header: _Header, step: Frequency, location: str, index: int) -> Series:
    parts = line.split(":")
    if len(parts) != len(header.attributes) + 1:
        raise DataError(
            f"{location}: {len(parts)} parts between colons, expected {len(header.attributes) + 1}: "
            "a value for each @attribute, then the series."
        )
    series_id, start, static = f"T{index}", np.datetime64(0, "us") if step.unit != "step" else 0, []
    for (name, kind), value in zip(header.attributes, parts, strict=False):
        if name == "series_name":
            series_id = value
        elif name == "start_timestamp":
            start = _start(value, location) if step.unit != "step" else 0
        else:
            static.append(_number(value, location) if kind == "numeric" else value)
    y = np.array([np.nan if v.strip() == "?" else _number(v, location) for v in parts[-1].split(",")])
    series = univariate(series_id, start, y, step, tuple(static))
    if series is None:
        raise DataError(f"{location} (series {series_id!r}): all values are missing. Remove the line.")
    return series


def _start(text: str, location: str) -> np.datetime64:
    # The format writes 2012-01-01 00-00-00, because the colon separates attributes.
    day, _, time = text.strip().partition(" ")
    try:
        return np.datetime64(f"{day}T{time.replace('-', ':') or '00:00'}", "us")
    except ValueError:
        raise DataError(
            f"{location}: the start_timestamp {text!r}, expected one such as 2012-01-31 00-00-00."
        ) from None


def _number(text: str, location: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = np.inf
    if not np.isfinite(value):
        raise DataError(f"{location}: {text.strip()[:40]!r}, expected a finite number, or ? for a missing value.")
    return value
