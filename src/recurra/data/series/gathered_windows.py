"""Windows that are gathered from mapped series when they are cut."""

import numpy as np
import torch

from recurra.data.series.covariates import CovariateEncoding, standardize
from recurra.data.series.series_set import SeriesSet
from recurra.data.series.windows import Window, Windows, WindowShape

__all__ = ["GatheredWindows", "windows_of"]


def windows_of(data: SeriesSet, encoding: CovariateEncoding, shape: WindowShape) -> Windows:
    """The windows of series: of those held in memory, encoded once; of mapped ones, encoded as they are cut."""
    return (GatheredWindows if data.is_mapped else Windows)(data, encoding, shape)


class GatheredWindows(Windows):
    """The same windows, of series that may be larger than memory: nothing is held but what does not grow with time.

    Args:
        data: the series.
        encoding: of the covariates.
        shape: of the windows.
    """

    def __init__(self, data: SeriesSet, encoding: CovariateEncoding, shape: WindowShape) -> None:
        self.shape, self.lengths = shape, data.lengths
        self._data, self._encoding, self._series = data, encoding, tuple(data)
        self._first = np.array([series.start for series in data])
        numbers, categories = zip(*(encoding.statics(data, series) for series in data), strict=True)
        self._numbers, self._categories = np.stack(numbers), np.stack(categories)

    def cut(self, rows: np.ndarray, origins: np.ndarray) -> Window:
        shape, encoding, count = self.shape, self._encoding, len(rows)
        target = np.full((count, shape.history + shape.horizon), np.nan)
        past = np.full((count, shape.context, len(encoding.past)), np.nan)
        known = np.full((count, shape.context + shape.horizon, len(encoding.known)), np.nan)
        for window, (row, origin) in enumerate(zip(rows.tolist(), origins.tolist(), strict=True)):
            series, begin = self._series[row], origin - shape.context
            _copy(series.y, origin - shape.history, target[window])
            _copy(series.past, begin, past[window])
            _copy(series.known, begin, known[window])
        return Window(
            torch.from_numpy(target[:, : shape.history]),
            torch.from_numpy(target[:, shape.history :]),
            torch.from_numpy(standardize(past, encoding.past)),
            torch.from_numpy(
                np.concatenate([standardize(known, encoding.known), self._stamp_features(rows, origins)], axis=-1)
            ),
            torch.from_numpy(self._numbers[rows]),
            torch.from_numpy(self._categories[rows]),
        )

    def _stamp_features(self, rows: np.ndarray, origins: np.ndarray) -> np.ndarray:
        """Those of the stamps of the windows, (B, S + T, C); zeros before the series."""
        positions = origins[:, None] + np.arange(-self.shape.context, self.shape.horizon)
        stamps = self._data.frequency.stamps_at(self._first[rows][:, None], np.maximum(positions, 0))
        features = self._encoding.stamp_features(self._data, stamps.ravel()).reshape(*positions.shape, -1)
        features[positions < 0] = 0
        return features


def _copy(values: np.ndarray, begin: int, window: np.ndarray) -> None:
    """Copy steps from `begin` on, those that there are, into a window."""
    first, last = max(begin, 0), min(begin + len(window), len(values))
    if first < last:
        window[first - begin : last - begin] = values[first:last]
