"""The frequency of a time series: the step between time stamps, and its seasons."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from recurra.data.series.month_calendars import (
    BusinessDay,
    business_calendar,
    business_days,
    within_business_calendar,
)
from recurra.errors import DataError, ParameterError

__all__ = ["Frequency", "Stamp"]

Stamp = np.datetime64 | int

_SECOND = 1_000_000
_MINUTE = 60 * _SECOND
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_WEEK = 7 * _DAY

# The largest unit comes first: the string form uses the largest unit that divides the step.
_FIXED_UNITS = {"w": _WEEK, "d": _DAY, "h": _HOUR, "m": _MINUTE, "s": _SECOND, "ms": 1000, "us": 1}
_MONTH_UNITS = {"y": 12, "q": 3, "mo": 1}
_BUSINESS_UNITS: dict[BusinessDay | None, dict[str, int]] = {
    "last": {"BYE": 12, "BQE": 3, "BME": 1},
    "first": {"BYS": 12, "BQS": 3, "BMS": 1},
}

_FIXED_ALIASES = {
    **_FIXED_UNITS,
    **dict.fromkeys(("min", "T"), _MINUTE),
    "W": _WEEK,
    "D": _DAY,
    "H": _HOUR,
    "S": _SECOND,
    "L": 1000,
    "U": 1,
}
_MONTH_ALIASES = {
    **_MONTH_UNITS,
    **dict.fromkeys(("M", "ME", "MS"), 1),
    **dict.fromkeys(("Q", "QE", "QS"), 3),
    **dict.fromkeys(("Y", "YE", "YS", "A", "AS"), 12),
}
_BUSINESS_ALIASES: dict[str, tuple[int, BusinessDay | None]] = {
    **{name: (months, which) for which, units in _BUSINESS_UNITS.items() for name, months in units.items()},
    "BM": (1, "last"),
    "BQ": (3, "last"),
    "BY": (12, "last"),
    "BA": (12, "last"),
    "BAS": (12, "first"),
}

_EXAMPLES = "such as '15m', '1h', '1d', '1w', '1mo', '1q', '1y', 'BME' or 'step'"
_STEP = re.compile(r"(\d*)step(?:\((\d+(?:,\d+)*)\))?")
_ALIAS = re.compile(r"(\d*)([A-Za-z]+)(?:-[A-Za-z]+)?")

# If this fraction of the gaps agrees, the other gaps count as faults in the data, not as signs of a finer grid.
_MONTHLY_FRACTION = 2 / 3
_COMMON_FRACTION = 0.8
# The same holds if a finer grid would have more than this many steps per gap.
_SPARSE = 50


@dataclass(frozen=True)
class Frequency:
    """The step of a regular time grid. Equal steps compare equal: "60m" and "1h", "3mo" and "1q".

    Args:
        count: the length of the step in units of `unit`, at least 1.
        unit: "us" (microseconds, a fixed duration), "mo" (calendar months) or "step" (integer positions).
        cycles: the season lengths in steps, shortest first. Only "step" takes them; other units have a calendar.
        business_day: of months, "last": each stamp is the last day of its month from Monday to Friday, or, because of
            a holiday, a day before it; "first": the first such day, or one after it. None: months are on a fixed day.

    Raises:
        ParameterError: the count is below 1, the unit is unknown, or `cycles` or `business_day` does not fit the unit.
    """

    count: int
    unit: Literal["us", "mo", "step"]
    cycles: tuple[int, ...] = ()
    business_day: BusinessDay | None = None

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ParameterError("frequency", "a step of at least 1", self.count)
        if self.unit not in ("us", "mo", "step"):
            raise ParameterError("frequency", "the unit 'us', 'mo' or 'step'", self.unit)
        if self.cycles and (self.unit != "step" or min(self.cycles) < 1):
            raise ParameterError("cycles", "positive season lengths, and the unit 'step'", self.cycles)
        if self.business_day is not None and (self.unit != "mo" or self.business_day not in _BUSINESS_UNITS):
            raise ParameterError("business_day", "'first' or 'last', and the unit 'mo'", self.business_day)

    @classmethod
    def parse(cls, text: str) -> "Frequency":
        """Read a polars-style ("15m", "1h", "1mo") or pandas-style ("15min", "H", "W-SUN", "ME", "BME") alias.

        "m" means minutes and "M" months. An anchor ("-SUN") is ignored: the first stamp of a series anchors its grid.

        Raises:
            ParameterError: the text is not a frequency.
        """
        if match := _STEP.fullmatch(text.strip()):
            cycles = tuple(int(cycle) for cycle in (match[2] or "").split(",") if cycle)
            return cls(int(match[1] or 1), "step", cycles)
        match = _ALIAS.fullmatch(text.strip())
        count, alias = (int(match[1] or 1), match[2]) if match else (1, "")
        if alias in _FIXED_ALIASES:
            return cls(count * _FIXED_ALIASES[alias], "us")
        if alias in _MONTH_ALIASES:
            return cls(count * _MONTH_ALIASES[alias], "mo")
        if alias in _BUSINESS_ALIASES:
            months, business_day = _BUSINESS_ALIASES[alias]
            return cls(count * months, "mo", business_day=business_day)
        hint = "For business days give '1d'; the weekends become gaps." if alias == "B" else ""
        raise ParameterError("frequency", _EXAMPLES, text, hint)

    @classmethod
    def infer(cls, stamps_per_series: Iterable[np.ndarray]) -> "Frequency":
        """Infer the largest step that divides all gaps between stamps. Months are tried before fixed durations.

        Stamps that are on no fixed day of their months, but nine in ten on the last or the first business day, follow
        that calendar.

        If nearly all gaps agree on a larger step, that step is the result. The other gaps are faults in the data, which
        `positions` detects.

        Args:
            stamps_per_series: the sorted unique stamps of each series, (T,) datetime64 or int64.

        Raises:
            DataError: no series has two stamps. (For integer stamps the result is then "step".)
        """
        series = [stamps for stamps in stamps_per_series if len(stamps)]
        long = [stamps for stamps in series if len(stamps) > 1]
        if not long:
            if series and series[0].dtype.kind in "iu":
                return cls(1, "step")
            raise DataError(
                "no series has two stamps, so the frequency cannot be inferred. Give it with --frequency, "
                "for example --frequency 1d."
            )
        if long[0].dtype.kind in "iu":
            return cls.of_gaps(*np.unique(np.concatenate([np.diff(one) for one in long]), return_counts=True), "step")
        before = np.concatenate([stamps[:-1] for stamps in long]).astype("M8[us]")
        after = np.concatenate([stamps[1:] for stamps in long]).astype("M8[us]")
        first = np.repeat([stamps[0] for stamps in long], [len(stamps) - 1 for stamps in long]).astype("M8[us]")
        gaps, since_first = _months_between(before, after), _months_between(first, after)
        if (gaps > 0).all() and (add_months(first, since_first) != after).any():
            business_day = business_calendar(np.concatenate(long))
            if business_day is not None:
                return cls(int(np.gcd.reduce(gaps)), "mo", business_day=business_day)
        months = _common_months(before, after, first)
        if months:
            return cls(months, "mo")
        return cls.of_gaps(*np.unique((after - before).astype(np.int64), return_counts=True), "us")

    @classmethod
    def of_gaps(cls, gaps: np.ndarray, counts: np.ndarray, unit: Literal["us", "step"]) -> "Frequency":
        """The step that `infer` finds for stamps that do not follow calendar months.

        Args:
            gaps: between stamps of the same series, the distinct ones in increasing order: (n,) int64.
            counts: how many there are of each, (n,).
            unit: of the gaps.
        """
        greatest, total = int(np.gcd.reduce(gaps)), int(counts.sum())
        middle = int(gaps[np.searchsorted(np.cumsum(counts), total // 2, side="right")])
        agrees = counts[gaps == middle].sum() / total >= _COMMON_FRACTION
        return cls(middle if agrees or middle > _SPARSE * greatest else greatest, unit)

    @staticmethod
    def may_follow_months(gaps_in_months: int, gaps: int) -> bool:
        """Whether `infer` may find months: of so many gaps, so many end in a later month than they begin in."""
        return gaps_in_months >= _MONTHLY_FRACTION * gaps

    def __str__(self) -> str:
        if self.unit == "step":
            cycles = f"({','.join(map(str, self.cycles))})" if self.cycles else ""
            return f"{self.count if self.count > 1 else ''}step{cycles}"
        units = _FIXED_UNITS if self.unit == "us" else _BUSINESS_UNITS.get(self.business_day, _MONTH_UNITS)
        name, size = next((name, size) for name, size in units.items() if self.count % size == 0)
        return f"{self.count // size}{name}"

    @property
    def seasons(self) -> tuple[int, ...]:
        """The lengths of the natural cycles in steps, shortest first: (24, 168) for hourly, () for yearly."""
        if self.unit == "step":
            return self.cycles
        if self.unit == "mo":
            natural: tuple[int, ...] = (12,)
        elif self.count < _MINUTE:
            natural = (_MINUTE, _HOUR)
        elif self.count < _DAY:
            natural = (_DAY, _WEEK)
        elif self.count < _WEEK:
            natural = (_WEEK,)
        else:
            natural = (52 * _WEEK,)
        return tuple(n // self.count for n in natural if n % self.count == 0 and n > self.count)

    @property
    def season(self) -> int:
        """The default season length in steps. It is 1 if the frequency has no natural cycle."""
        return self.seasons[0] if self.seasons else 1

    def without_calendar(self) -> "Frequency":
        """A frequency of integer positions with the same seasons, for series without dates."""
        return self if self.unit == "step" else Frequency(1, "step", self.seasons)

    def stamps(self, start: Stamp, n: int) -> np.ndarray:
        """The first n stamps of the grid that begins at `start`: (n,) datetime64[us], or int64 for "step".

        If `start` is the last day of a month, every stamp is a month-end (Jan 31, Feb 28, Mar 31). Otherwise a day that
        a month does not have becomes its last day (Jan 30, Feb 28, Mar 30). With `business_day`, stamps are on that day
        of their months, also if `start` is not: holidays are not known.
        """
        return self.stamps_at(start, np.arange(n, dtype=np.int64))

    def stamps_at(self, start: Stamp | np.ndarray, positions: np.ndarray) -> np.ndarray:
        """The stamps at positions of the grid that `stamps` describes.

        Args:
            start: one stamp, or an array that is broadcast with the positions.
            positions: integers of any shape.

        Returns:
            datetime64[us], or int64 for "step".
        """
        steps = positions * self.count
        if self.unit == "step":
            return np.asarray(start, dtype=np.int64) + steps
        anchor = np.asarray(start, dtype="M8[us]")
        if self.business_day is not None:
            time_of_day = anchor - anchor.astype("M8[D]")
            return business_days(anchor.astype("M8[M]") + steps, self.business_day) + time_of_day
        return add_months(anchor, steps) if self.unit == "mo" else anchor + steps

    def positions(self, start: Stamp | np.ndarray, stamps: np.ndarray) -> np.ndarray:
        """The positions of `stamps` on the grid. `start` has position 0.

        Args:
            start: one stamp, or one for each of `stamps`.
            stamps: (n,) datetime64, or integers for "step".

        Returns:
            (n,) int64. Stamps off the grid or before the start have position -1.
        """
        if self.unit == "step":
            gaps = np.asarray(stamps, dtype=np.int64) - np.asarray(start, dtype=np.int64)
            on_grid = np.ones(gaps.shape, dtype=bool)
        else:
            anchor, stamps = np.asarray(start, dtype="M8[us]"), np.asarray(stamps, dtype="M8[us]")
            if self.unit == "mo":
                gaps = _months_between(anchor, stamps)
                if self.business_day is None:
                    on_grid = add_months(anchor, gaps) == stamps
                else:
                    day = stamps.astype("M8[D]")
                    on_grid = stamps - day == anchor - anchor.astype("M8[D]")
                    on_grid = on_grid & within_business_calendar(day, self.business_day)
            else:
                gaps = (stamps - anchor).astype(np.int64)
                on_grid = np.ones(gaps.shape, dtype=bool)
        position, rest = np.divmod(gaps, self.count)
        return np.where(on_grid & (rest == 0) & (gaps >= 0), position, -1)


def add_months(start: np.ndarray, months: np.ndarray) -> np.ndarray:
    """Move `start` by whole months. Month-ends stay month-ends; other days are clipped to the month."""
    month, day = start.astype("M8[M]"), start.astype("M8[D]")
    day_of_month = (day - month.astype("M8[D]")).astype(np.int64)
    target = month + months
    last = _days_in_month(target) - 1
    is_month_end = day_of_month == _days_in_month(month) - 1
    moved = np.where(is_month_end, last, np.minimum(day_of_month, last))
    return target.astype("M8[D]") + moved + (start - day)


def _days_in_month(month: np.ndarray) -> np.ndarray:
    return ((month + 1).astype("M8[D]") - month.astype("M8[D]")).astype(np.int64)


def _months_between(start: np.ndarray, stamps: np.ndarray) -> np.ndarray:
    return (stamps.astype("M8[M]") - start.astype("M8[M]")).astype(np.int64)


def _common_months(before: np.ndarray, after: np.ndarray, first: np.ndarray) -> int:
    """The greatest common step in calendar months. It is 0 if the stamps do not follow calendar months.

    A gap agrees if its two ends are whole months apart, or if its end and the first stamp of the series are. The second
    test is for days that February clips (Jan 30, Feb 28, Mar 30). One misplaced stamp spoils two gaps.
    """
    gaps = _months_between(before, after)
    agrees = (add_months(before, gaps) == after) | (add_months(first, _months_between(first, after)) == after)
    agrees &= gaps > 0
    return int(np.gcd.reduce(gaps[agrees])) if agrees.mean() >= _MONTHLY_FRACTION else 0
