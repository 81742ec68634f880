"""Calendar covariates: where a stamp lies in the day, the week and the year, and whether it is a holiday."""

from collections.abc import Callable

import numpy as np

from recurra.data.series.frequency import Frequency
from recurra.errors import MissingExtraError, ParameterError

__all__ = ["calendar_features", "holiday_feature"]

_HOUR = 3_600_000_000
_DAY = 24 * _HOUR


def _day(stamps: np.ndarray) -> np.ndarray:
    return stamps.astype("M8[D]")


def _phase_of_day(stamps: np.ndarray) -> np.ndarray:
    return (stamps - _day(stamps)).astype(np.int64) / _DAY


def _weekday(stamps: np.ndarray) -> np.ndarray:
    # 1970-01-01 was a Thursday; Monday is 0.
    return (_day(stamps).astype(np.int64) + 3) % 7


def _phase_of_week(stamps: np.ndarray) -> np.ndarray:
    return _weekday(stamps) / 7


def _phase_of_month(stamps: np.ndarray) -> np.ndarray:
    return _phase_within(stamps, "M8[M]")


def _phase_of_year(stamps: np.ndarray) -> np.ndarray:
    return _phase_within(stamps, "M8[Y]")


def _phase_within(stamps: np.ndarray, period: str) -> np.ndarray:
    begin = stamps.astype(period)
    length = (begin + 1).astype("M8[D]") - begin.astype("M8[D]")
    return (_day(stamps) - begin.astype("M8[D]")) / length


def _phase_of_months(stamps: np.ndarray) -> np.ndarray:
    return (stamps.astype("M8[M]").astype(np.int64) % 12) / 12


# By name, the length of a cycle in days and the phase in it, 0 to 1.
_Cycles = dict[str, tuple[float, Callable[[np.ndarray], np.ndarray]]]
_DAILY, _WEEKLY, _MONTHLY, _YEARLY = 1.0, 7.0, 365.25 / 12, 365.25


def _cycles(frequency: Frequency) -> _Cycles:
    step = frequency.count
    if frequency.unit == "mo":
        return {"month": (_YEARLY, _phase_of_months)} if step % 12 else {}
    if step >= 7 * _DAY:
        return {"week_of_year": (_YEARLY, _phase_of_year)}
    week, year = (_WEEKLY, _phase_of_week), (_YEARLY, _phase_of_year)
    if step >= _DAY:
        return {"day_of_week": week, "day_of_month": (_MONTHLY, _phase_of_month), "day_of_year": year}
    time_of_day = "hour_of_day" if step >= _HOUR else "minute_of_day"
    return {time_of_day: (_DAILY, _phase_of_day), "day_of_week": week, "day_of_year": year}


def calendar_features(
    frequency: Frequency, stamps: np.ndarray, span: float = np.inf
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Each natural cycle as a sine and cosine in [-1, 1]; below a week also the weekend, as 0 or 1.

    Sub-hourly: minute of day, day of week, day of year; sub-daily: hour of day, day of week, day of year;
    daily: day of week, day of month, day of year; weekly: week of year; monthly and quarterly: month. Yearly
    and "step" have none.

    Args:
        frequency: of the series.
        stamps: (n,) datetime64; for "step" of any type.
        span: days of data learned from. A cycle not seen twice in it is left out: it would not tell the season,
            but which single time a value was seen.

    Returns:
        (n, C) float32 and the C column names.
    """
    none = np.empty((len(stamps), 0), dtype=np.float32), ()
    if frequency.unit == "step":
        return none
    stamps = stamps.astype("M8[us]")
    values: list[np.ndarray] = []
    names: list[str] = []
    for name, (days, phase) in _cycles(frequency).items():
        if 2 * days <= span:
            angle = 2 * np.pi * phase(stamps)
            values += [np.sin(angle), np.cos(angle)]
            names += [f"{name}_sin", f"{name}_cos"]
    if frequency.unit == "us" and frequency.count < 7 * _DAY and span >= 2 * _WEEKLY:
        values.append(_weekday(stamps) >= 5)
        names.append("weekend")
    return (np.stack(values, axis=1).astype(np.float32), tuple(names)) if values else none


def holiday_feature(country: str, stamps: np.ndarray) -> np.ndarray:
    """1 on the country's public holidays and 0 on other days: (n, 1) float32. Source: the `holidays` package.

    Args:
        country: ISO 3166 alpha-2 code, such as "US".
        stamps: (n,) datetime64.

    Raises:
        MissingExtraError: `holidays` is not installed.
        ParameterError: an unknown country, or stamps that are positions.
    """
    if stamps.dtype.kind != "M":
        raise ParameterError("holidays", "series with dates", "integer positions", "Leave --holidays out.")
    try:
        import holidays
    except ImportError:
        raise MissingExtraError("holidays", "forecast", "holiday features (--holidays)") from None
    days, which = np.unique(_day(stamps), return_inverse=True)
    years = np.unique(days.astype("M8[Y]").astype(np.int64) + 1970).tolist()
    try:
        calendar = holidays.country_holidays(country, years=years)
    except NotImplementedError:
        expected = "an ISO country code such as US, GB, DE, FR, IN or JP"
        raise ParameterError("holidays", expected, country) from None
    is_holiday = np.array([day in calendar for day in days.tolist()], dtype=np.float32)
    return is_holiday[which].reshape(-1, 1)
