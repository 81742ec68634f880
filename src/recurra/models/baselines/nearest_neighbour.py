"""The nearest neighbour of a series among those of training."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from recurra.data.labelled.series_encoding import SeriesEncoding

__all__ = ["NearestNeighbour", "distances", "fit_nearest_neighbour", "interpolated"]

_MOST_SERIES = 500
_MOST_CELLS = 5e8  # of all comparisons of training series with each other
_WINDOWS = (0.0, 0.1, 1.0)
_PAIRS_AT_ONCE = 20_000


@dataclass(frozen=True)
class NearestNeighbour:
    """One nearest neighbour, by the Euclidean distance or by dynamic time warping (DTW).

    Series are interpolated to one length. Steps of two series may be matched if they are at most `window` of the
    length apart: 0 is the Euclidean distance, 1 is DTW without a limit.

    Attributes:
        values: normalised training series (N, L, C).
        target: what is known of each (N, ...): the index of its label, which labels it has, or a number.
        window: from 0 to 1; that of the least error among the training series, each left out in turn.
    """

    values: Tensor
    target: Tensor
    window: float

    @property
    def name(self) -> str:
        """The name of the method."""
        return "1-NN (DTW)" if self.window else "1-NN (Euclid)"

    def predict(self, encoding: SeriesEncoding, series: Sequence[np.ndarray]) -> Tensor:
        """The targets (Q, ...) of the nearest neighbours of series, each (T, C)."""
        queries = np.stack([interpolated(encoding, one, self.values.shape[1]) for one in series])
        return self.target[distances(queries, self.values.numpy(), self.window).argmin(1)]


def fit_nearest_neighbour(
    encoding: SeriesEncoding,
    series: Sequence[np.ndarray],
    target: Tensor,
    error: Callable[[Tensor, Tensor], float],
) -> NearestNeighbour:
    """Learn from training series.

    Of more than 500 series, 500 are used, spread over all targets. Their length is that of the longest, or less if it
    took more than seconds to compare all of them.

    Args:
        encoding: of series.
        series: each (T, C).
        target: of each (N, ...); see `NearestNeighbour`.
        error: of predicted targets (N, ...), compared with the true ones; it chooses the window.
    """
    rows = np.arange(len(series))
    if len(rows) > _MOST_SERIES:
        # In order of targets: each label, or size, is then represented.
        ordered = np.argsort(target.numpy(), kind="stable") if target.dim() == 1 else rows
        rows = ordered[np.linspace(0, len(series) - 1, _MOST_SERIES).astype(int)]
    most = int(_MOST_CELLS**0.5 / len(rows))
    chosen = [series[row] for row in rows.tolist()]
    length = min(max(map(len, chosen)), max(most, 2))
    values = np.stack([interpolated(encoding, one, length) for one in chosen])
    target = target[torch.from_numpy(rows)]
    errors = {window: error(_left_out(values, target, window), target) for window in _WINDOWS}
    return NearestNeighbour(torch.from_numpy(values), target, min(_WINDOWS, key=lambda window: errors[window]))


def distances(queries: np.ndarray, series: np.ndarray, window: float) -> np.ndarray:
    """Squared distances (Q, N) of queries (Q, L, C) from series (N, L, C), along the best path within the window."""
    at_once = max(1, _PAIRS_AT_ONCE // len(series))
    parts = [_distances(queries[k : k + at_once], series, window) for k in range(0, len(queries), at_once)]
    return np.concatenate(parts)


def _distances(queries: np.ndarray, series: np.ndarray, window: float) -> np.ndarray:
    length, band = queries.shape[1], round(window * queries.shape[1])
    squares, own = (series**2).sum(2).T, (queries**2).sum(2).T
    steps = np.ascontiguousarray(series.transpose(1, 0, 2))
    nowhere = np.full((len(series), len(queries)), np.inf, np.float32)
    before = {-1: np.zeros_like(nowhere)}
    for row in range(length):
        columns = range(max(0, row - band), min(length, row + band + 1))
        costs = steps[columns.start : columns.stop] @ queries[:, row].T
        costs = squares[columns.start : columns.stop, :, np.newaxis] + own[row] - 2 * costs
        sums: dict[int, np.ndarray] = {}
        for column, cost in zip(columns, costs, strict=True):
            least = np.minimum(before.get(column - 1, nowhere), before.get(column, nowhere))
            sums[column] = cost + np.minimum(least, sums.get(column - 1, nowhere))
        before = sums
    return before[length - 1].T


def _left_out(values: np.ndarray, target: Tensor, window: float) -> Tensor:
    """The target of each series' nearest neighbour among the others; of a single series, its own."""
    between = distances(values, values, window)
    if len(values) > 1:
        np.fill_diagonal(between, np.inf)
    return target[torch.from_numpy(between.argmin(1))]


def interpolated(encoding: SeriesEncoding, series: np.ndarray, length: int) -> np.ndarray:
    """A series as the network reads it, of `length` steps: (L, C), without the features that mark missing values."""
    steps = encoding.encode(series)[:, : encoding.num_values].numpy()
    if len(steps) == length:
        return steps
    positions, observed = np.linspace(0, len(steps) - 1, length), np.arange(len(steps))
    return np.stack([np.interp(positions, observed, channel) for channel in steps.T], axis=1).astype(np.float32)
