"""Covariates as network inputs: standardised numbers with a flag for the missing, categories as indices."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

import numpy as np

from recurra.data.series.calendar import calendar_features, holiday_feature
from recurra.data.series.frequency import Frequency
from recurra.data.series.series_set import Columns, Series, SeriesSet
from recurra.errors import DataError

__all__ = ["CLIP", "CovariateEncoding", "Encoded", "standardize"]

#: A standardised covariate beyond this is clipped: it only tells that it is extreme.
CLIP = 10.0

_ROWS_AT_ONCE = 1 << 18  # of which sums are taken


@dataclass(frozen=True)
class Encoded:
    """The covariates of one series as inputs.

    Attributes:
        past: (T, P), known up to the origin only.
        known: (T + F, K), known ahead, calendar included; F future steps.
        numbers: (S,), static.
        categories: (C,), static, as indices; 0 is a category not seen in training.
    """

    past: np.ndarray
    known: np.ndarray
    numbers: np.ndarray
    categories: np.ndarray


@dataclass(frozen=True)
class CovariateEncoding:
    """How covariates become inputs; fitted on the training data.

    Attributes:
        columns: the frame's columns.
        past: mean and standard deviation by past covariate.
        known: mean and standard deviation by known covariate.
        numbers: mean and standard deviation by static number; None at a category.
        categories: the categories by static column; None at a number.
        calendar: days that the longest training series spans, which decide the calendar features; None for none.
        holidays: the country of the holidays used, or None.
    """

    columns: Columns
    past: list[tuple[float, float]]
    known: list[tuple[float, float]]
    numbers: list[tuple[float, float] | None]
    categories: list[list[str] | None]
    calendar: float | None
    holidays: str | None

    @classmethod
    def fit(cls, data: SeriesSet, calendar: bool, holidays: str | None) -> "CovariateEncoding":
        """Take means, deviations and categories from training data."""
        statics = list(zip(*(series.static for series in data), strict=True))
        numeric = [all(isinstance(value, int | float) for value in values) for values in statics]
        return cls(
            data.columns,
            _moments([series.past for series in data]),
            _moments([series.known[: len(series)] for series in data]),
            [_moments([np.array(v, float)[:, None]])[0] if n else None for v, n in zip(statics, numeric, strict=True)],
            [None if n else sorted({_category(value) for value in v}) for v, n in zip(statics, numeric, strict=True)],
            _days(data) if calendar else None,
            holidays,
        )

    @property
    def cardinalities(self) -> list[int]:
        """Categories by static category column, the unseen one included."""
        return [len(names) + 1 for names in self.categories if names is not None]

    def calendar_names(self, frequency: Frequency) -> tuple[str, ...]:
        """The features of known covariates that come from the stamps, in the order in which they stand after these."""
        names: tuple[str, ...] = ()
        if self.calendar is not None:
            names = calendar_features(frequency, np.empty(0, "M8[us]"), self.calendar)[1]
        return (*names, "holiday") if self.holidays else names

    def encode(self, data: SeriesSet, series: Series, horizon: int) -> Encoded:
        """One series, its known covariates and calendar reaching at most `horizon` steps beyond its end.

        Raises:
            DataError: a static value is not a number and the column was numeric in training.
        """
        steps = len(series.y)
        known = [standardize(series.known[: steps + horizon], self.known)]
        missing = steps + horizon - len(known[0])
        known[0] = np.pad(known[0], ((0, missing), (0, 0)))
        known.append(self.stamp_features(data, data.frequency.stamps(series.start, steps + horizon)))
        numbers, categories = self.statics(data, series)
        return Encoded(standardize(series.past, self.past), np.concatenate(known, axis=1), numbers, categories)

    def stamp_features(self, data: SeriesSet, stamps: np.ndarray) -> np.ndarray:
        """The features of stamps (n,), in the order of `calendar_names`: (n, C) float32."""
        stamps, features = data.form.local(stamps), [np.empty((len(stamps), 0), np.float32)]
        if self.calendar is not None:
            features.append(calendar_features(data.frequency, stamps, self.calendar)[0])
        if self.holidays:
            features.append(holiday_feature(self.holidays, stamps))
        return np.concatenate(features, axis=1)

    def statics(self, data: SeriesSet, series: Series) -> tuple[np.ndarray, np.ndarray]:
        """The static numbers and categories of a series, as in `Encoded`. Raises DataError, see `encode`."""
        return self._static_numbers(data, series), self._static_categories(series)

    def to_json(self) -> dict[str, Any]:
        """JSON values that `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "CovariateEncoding":
        """Make the encoding from what `to_json` returned."""
        return cls(**{**values, "columns": Columns.from_json(values["columns"])})

    def _static_numbers(self, data: SeriesSet, series: Series) -> np.ndarray:
        numbers = []
        for name, value, moments in zip(self.columns.static, series.static, self.numbers, strict=True):
            if moments is None:
                continue
            if isinstance(value, str):
                raise DataError(
                    f"{data.source}: series {series.id!r}, static column {name!r}: expected a number, as in training, "
                    f"got {value!r}"
                )
            numbers.append((value - moments[0]) / moments[1])
        return np.nan_to_num(np.clip(np.array(numbers, np.float32), -CLIP, CLIP))

    def _static_categories(self, series: Series) -> np.ndarray:
        indices = []
        for value, names in zip(series.static, self.categories, strict=True):
            if names is not None:
                indices.append(names.index(_category(value)) + 1 if _category(value) in names else 0)
        return np.array(indices, np.int64)


def _category(value: float | str) -> str:
    """A category's name: the same whether a file's column was read as numbers or as text."""
    return f"{value:g}" if isinstance(value, float) and value.is_integer() else str(value)


def _days(data: SeriesSet) -> float:
    """Days that the longest series spans; 0 if there are no dates."""
    longest = data.series[int(np.argmax(data.lengths))]
    stamps = data.stamps_at(longest, np.array([0, len(longest)]))
    return float((stamps[-1] - stamps[0]) / np.timedelta64(1, "D")) if stamps.dtype.kind == "M" else 0.0


def _moments(arrays: list[np.ndarray]) -> list[tuple[float, float]]:
    """Mean and standard deviation by column over the observed values; 0 and 1 if there are none.

    The arrays are read in pieces, the same ones whether they are held in memory or mapped: so are the sums.
    """
    return [_moments_of([array[:, column] for array in arrays]) for column in range(arrays[0].shape[1])]


def _moments_of(columns: list[np.ndarray]) -> tuple[float, float]:
    count, total, squares = 0, 0.0, 0.0
    for seen in _observed_pieces(columns):
        count, total = count + len(seen), total + float(seen.sum())
    mean = total / count if count else 0.0
    for seen in _observed_pieces(columns):
        squares += float(((seen - mean) ** 2).sum())
    deviation = sqrt(squares / count) if count else 0.0
    return mean, deviation if deviation > 0 else 1.0


def _observed_pieces(columns: list[np.ndarray]) -> Iterator[np.ndarray]:
    """The observed values of columns one after the other, of `_ROWS_AT_ONCE` rows at a time."""
    held: list[np.ndarray] = []
    size = 0
    for column in columns:
        start = 0
        while start < len(column):
            held.append(np.asarray(column[start : start + _ROWS_AT_ONCE - size]))
            start, size = start + len(held[-1]), size + len(held[-1])
            if size == _ROWS_AT_ONCE:
                yield _observed(np.concatenate(held))
                held, size = [], 0
    if held:
        yield _observed(np.concatenate(held))


def _observed(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)]


def standardize(values: np.ndarray, moments: list[tuple[float, float]]) -> np.ndarray:
    """Columns (..., K) standardised and clipped, missing as 0, and after them K flags that say what is there."""
    mean, deviation = np.array(moments).reshape(-1, 2).T
    present = np.isfinite(values)
    standard = np.clip((np.where(present, values, mean) - mean) / deviation, -CLIP, CLIP)
    return np.concatenate([standard, present], axis=-1).astype(np.float32)
