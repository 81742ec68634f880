"""Calendars of stamps that are regular within months, but on no fixed day of them."""

from typing import Literal

import numpy as np

__all__ = ["BusinessDay", "business_calendar", "business_days", "month_calendar", "within_business_calendar"]

BusinessDay = Literal["first", "last"]

_FEWEST_STAMPS = 4
# Exchanges close on holidays too: so many of the stamps fall on the last business day by weekdays alone.
_MOST = 0.9
# The others are so much earlier, or later than the first business day: the longest holidays are a week and its ends.
_LONGEST_HOLIDAY = np.timedelta64(10, "D")
# Some months of a calendar of two days a month may be missing one.
_TWICE = 1.5
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_ORDINALS = ("first", "second", "third", "fourth", "fifth")


def business_days(months: np.ndarray, which: BusinessDay) -> np.ndarray:
    """The first or last of the days from Monday to Friday of months: (n,) datetime64[M] -> (n,) datetime64[D]."""
    if which == "first":
        return np.busday_offset(months.astype("M8[D]"), 0, roll="forward")
    return np.busday_offset((months + 1).astype("M8[D]") - 1, 0, roll="backward")


def business_calendar(stamps: np.ndarray) -> BusinessDay | None:
    """The business day of their months on which at least nine in ten stamps fall.

    Args:
        stamps: (N,) datetime64, at most one a month of each series.

    Returns:
        "first", "last", or None if it is neither, or the stamps are of fewer than four days.
    """
    days = stamps.astype("M8[D]")
    if len(np.unique(days)) < _FEWEST_STAMPS:
        return None
    for which in ("last", "first"):
        if (days == business_days(days.astype("M8[M]"), which)).mean() >= _MOST:
            return which
    return None


def within_business_calendar(days: np.ndarray, which: BusinessDay) -> np.ndarray:
    """Whether days are the business day of their month, or the nearest one within the month that is not a holiday.

    Holidays are not known here: any day up to ten days before the last business day may be the last, and any up to ten
    days after the first may be the first.

    Args:
        days: (n,) datetime64[D].
        which: "first" or "last".

    Returns:
        (n,) bool.
    """
    expected = business_days(days.astype("M8[M]"), which)
    early = expected - days if which == "last" else days - expected
    return (early >= np.timedelta64(0, "D")) & (early <= _LONGEST_HOLIDAY)


def month_calendar(stamps: np.ndarray) -> str:
    """The calendar that stamps follow in words, such as "the third Friday of the month".

    Args:
        stamps: (N,) datetime64, of one series or of several.

    Returns:
        The words; empty if the stamps follow none that is known here, or are fewer than four.
    """
    if stamps.dtype.kind != "M":
        return ""
    days = np.unique(stamps.astype("M8[D]"))
    months = days.astype("M8[M]")
    if len(days) < _FEWEST_STAMPS:
        return ""
    per_month = len(months) / len(np.unique(months))
    first, last = months.astype("M8[D]"), (months + 1).astype("M8[D]") - 1
    # 1970-01-01 was a Thursday; Monday is 0.
    weekdays = np.unique((days.astype(np.int64) + 3) % 7)
    day_of_month = (days - first).astype(np.int64) + 1
    if per_month == 1 and len(weekdays) == 1:
        weeks = np.unique((day_of_month - 1) // 7)
        if len(weeks) == 1:
            return f"the {_ORDINALS[weeks[0]]} {_WEEKDAYS[weekdays[0]]} of the month"
        return f"the last {_WEEKDAYS[weekdays[0]]} of the month" if (last - days < np.timedelta64(7, "D")).all() else ""
    if per_month < _TWICE:
        return ""
    at_end = days == last
    others = np.unique(day_of_month[~at_end])
    if at_end.any() and len(others) == 1:
        return f"twice a month, on day {others[0]} and on the last day"
    all_days = np.unique(day_of_month)
    return f"twice a month, on days {all_days[0]} and {all_days[1]}" if len(all_days) == 2 else ""
