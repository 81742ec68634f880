"""Covariates as network inputs: standardised numbers with a flag for the missing, categories as indices."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from recurra.data.series.calendar import calendar_features, holiday_feature
from recurra.data.series.frequency import Frequency
from recurra.data.series.series_set import Columns, Series, SeriesSet
from recurra.errors import DataError

__all__ = ["CLIP", "CovariateEncoding", "Encoded", "standardize"]

#: A standardised covariate beyond this is clipped: it only tells that it is extreme.
CLIP = 10.0


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
        stamps = data.form.local(data.frequency.stamps(series.start, steps + horizon))
        if self.calendar is not None:
            known.append(calendar_features(data.frequency, stamps, self.calendar)[0])
        if self.holidays:
            known.append(holiday_feature(self.holidays, stamps))
        return Encoded(
            standardize(series.past, self.past),
            np.concatenate(known, axis=1).astype(np.float32),
            self._static_numbers(data, series),
            self._static_categories(series),
        )

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
    stamps = data.stamps(longest, 1)
    return float((stamps[-1] - stamps[0]) / np.timedelta64(1, "D")) if stamps.dtype.kind == "M" else 0.0


def _moments(arrays: list[np.ndarray]) -> list[tuple[float, float]]:
    """Mean and standard deviation by column over the observed values; 0 and 1 if there are none."""
    values = np.concatenate(arrays)
    moments = []
    for column in values.T:
        seen = column[np.isfinite(column)]
        mean = float(seen.mean()) if len(seen) else 0.0
        deviation = float(seen.std()) if len(seen) else 0.0
        moments.append((mean, deviation if deviation > 0 else 1.0))
    return moments


def standardize(values: np.ndarray, moments: list[tuple[float, float]]) -> np.ndarray:
    """Columns (..., K) standardised and clipped, missing as 0, and after them K flags that say what is there."""
    mean, deviation = np.array(moments).reshape(-1, 2).T
    present = np.isfinite(values)
    standard = np.clip((np.where(present, values, mean) - mean) / deviation, -CLIP, CLIP)
    return np.concatenate([standard, present], axis=-1).astype(np.float32)
