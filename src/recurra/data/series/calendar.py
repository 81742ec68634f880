"""Calendar covariates: the time of day, week and year, and public holidays."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

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


# The name of a cycle, its length in days, and the function that computes its phase, 0 to 1.
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
    """The phase of each natural cycle as a sine and a cosine in [-1, 1], and below a week the weekend as 0 or 1.

    The cycles depend on the frequency. Below an hour: minute of day, day of week, day of year. Below a day: hour of
    day, day of week, day of year. Days: day of week, day of month, day of year. Weeks: week of year. Months and
    quarters: month of year. Years and "step" have no cycles.

    Args:
        frequency: the frequency of the series.
        stamps: the time stamps (n,) datetime64, or of any type for "step".
        span: the length of the training data in days. A cycle that does not fit twice into it is left out: the network
            would learn single dates, not a season.

    Returns:
        The features (n, C) float32, and the C column names.
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
    """1 on public holidays of a country and 0 on other days: (n, 1) float32. Source: the `holidays` package.

    Args:
        country: an ISO 3166 alpha-2 code, such as "US".
        stamps: the time stamps (n,) datetime64.

    Raises:
        MissingExtraError: `holidays` is not installed.
        ParameterError: the country is unknown, or the stamps are integer positions.
    """
    if stamps.dtype.kind != "M":
        raise ParameterError("holidays", "series with dates", "integer positions", "Leave --holidays out.")
    try:
        import holidays  # noqa: F401
    except ImportError:
        raise MissingExtraError("holidays", "forecast", "holiday features (--holidays)") from None
    days, which = np.unique(_day(stamps), return_inverse=True)
    try:
        is_holiday = [day in _holidays_of(country, day.year) for day in days.tolist()]
    except NotImplementedError:
        expected = "an ISO country code such as US, GB, DE, FR, IN or JP"
        raise ParameterError("holidays", expected, country) from None
    return np.array(is_holiday, dtype=np.float32)[which].reshape(-1, 1)


@lru_cache(maxsize=1024)
def _holidays_of(country: str, year: int) -> frozenset[Any]:
    """The public holidays of a year, as dates."""
    import holidays

    return frozenset(holidays.country_holidays(country, years=[year]))
