"""Calendars of stamps that are regular within months, but not a fixed step."""

import numpy as np

__all__ = ["month_calendar"]

_FEWEST_STAMPS = 4
# Exchanges close on holidays too: so many of the stamps fall on the last business day by weekdays alone.
_MOST = 0.9
# Some months of a calendar of two days a month may be missing one.
_TWICE = 1.5
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_ORDINALS = ("first", "second", "third", "fourth", "fifth")


def month_calendar(stamps: np.ndarray) -> str:
    """The calendar that stamps follow in words, such as "the last business day of the month".

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
    for words, business_day in (
        ("the last business day of the month", np.busday_offset(last, 0, roll="backward")),
        ("the first business day of the month", np.busday_offset(first, 0, roll="forward")),
    ):
        if per_month == 1 and (days == business_day).mean() >= _MOST:
            return words
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
