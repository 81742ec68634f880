"""Series with a number to predict for each."""

from typing import Any

import numpy as np

from recurra.data.labelled.items import as_items, take
from recurra.data.labelled.reading import ItemReading
from recurra.data.labelled.series import LabelledSeries
from recurra.data.labelled.texts import LabelledTexts
from recurra.errors import DataError

__all__ = ["as_series", "split", "targets_of"]


def as_series(
    data: Any, targets: Any = None, reading: ItemReading | None = None, needs_targets: bool = True
) -> LabelledSeries:
    """Series, and the number of each as its label; see `as_items`.

    Raises:
        DataError: the data cannot be used, are texts, or a target is not a finite number.
        ParameterError: a combination has no meaning.
    """
    items = as_items(data, targets, reading, None, needs_targets, targets=True)
    if isinstance(items, LabelledTexts):
        raise DataError(f"{items.source}: expected series, got texts.")
    if items.labels is not None:
        targets_of(items)
    return items


def targets_of(series: LabelledSeries) -> np.ndarray:
    """The numbers (N,) float64 that are the labels of series, which have labels.

    Raises:
        DataError: a label is not a finite number; the message names the series.
    """
    assert series.labels is not None
    targets = np.empty(len(series))
    for row, (name, labels) in enumerate(zip(series.ids, series.labels, strict=True)):
        try:
            (text,) = labels
            targets[row] = float(text)
        except ValueError:
            targets[row] = np.nan
        if not np.isfinite(targets[row]):
            got = ", ".join(labels) or "nothing"
            raise DataError(f"{series.source}, series {name!r}: expected one finite number as its target, got {got}")
    return targets


def split(series: LabelledSeries, fraction: float, seed: int) -> tuple[LabelledSeries, LabelledSeries | None]:
    """Series to train on, and a fraction of them to validate with, sampled with the seed; at least one is left."""
    count = min(round(fraction * len(series)), len(series) - 1)
    if not count:
        return series, None
    order = np.random.default_rng(seed).permutation(len(series)).tolist()
    training, validation = take(series, sorted(order[count:])), take(series, sorted(order[:count]))
    assert isinstance(training, LabelledSeries)
    assert isinstance(validation, LabelledSeries)
    return training, validation
