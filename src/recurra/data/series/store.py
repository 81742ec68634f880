"""Series as named arrays and JSON values, without loss."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from recurra.data.series.frequency import Frequency
from recurra.data.series.series_set import Columns, Series, SeriesSet
from recurra.data.series.stamp_form import StampForm

__all__ = ["series_from_arrays", "series_to_arrays", "set_of", "set_values", "split_series"]


def series_to_arrays(data: SeriesSet) -> dict[str, np.ndarray]:
    """The arrays from which `series_from_arrays` makes the set again, with `set_values`."""
    return {
        "starts": np.array([int(np.asarray(series.start).astype(np.int64)) for series in data], dtype=np.int64),
        "lengths": data.lengths,
        "known_lengths": np.array([len(series.known) for series in data], dtype=np.int64),
        "y": np.concatenate([series.y for series in data]),
        "past": np.concatenate([series.past for series in data]),
        "known": np.concatenate([series.known for series in data]),
    }


def set_values(data: SeriesSet) -> dict[str, Any]:
    """All of a set but its arrays, as JSON values."""
    return {
        "ids": data.ids,
        "static": [series.static for series in data],
        "columns": asdict(data.columns),
        "frequency": str(data.frequency),
        "dates": all(isinstance(series.start, np.datetime64) for series in data),
        "source": data.source,
        "library": data.library,
        "integer_ids": data.integer_ids,
        "horizon": data.horizon,
        "form": asdict(data.form),
    }


def series_from_arrays(values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> SeriesSet:
    """The set that `series_to_arrays` and `set_values` took apart.

    Raises:
        KeyError, ValueError: something is missing, or does not fit.
    """
    return set_of(values, split_series(values, arrays))


def split_series(values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> tuple[Series, ...]:
    """The series of `series_from_arrays`: parts of the arrays, which are not copied."""
    ends, known_ends = (np.cumsum(arrays[name])[:-1] for name in ("lengths", "known_lengths"))
    parts = zip(
        values["ids"],
        arrays["starts"],
        np.split(arrays["y"], ends),
        np.split(arrays["past"], ends),
        np.split(arrays["known"], known_ends),
        values["static"],
        strict=True,
    )
    return tuple(
        Series(name, np.datetime64(int(start), "us") if values["dates"] else int(start), y, past, known, tuple(static))
        for name, start, y, past, known, static in parts
    )


def set_of(values: Mapping[str, Any], series: Sequence[Series]) -> SeriesSet:
    """The set of these series, with the values of `set_values`."""
    frequency, columns = Frequency.parse(values["frequency"]), Columns.from_json(values["columns"])
    names = ("source", "library", "integer_ids", "horizon")
    form = StampForm(**values["form"])
    return SeriesSet(series, frequency, columns, form=form, **{name: values[name] for name in names})
