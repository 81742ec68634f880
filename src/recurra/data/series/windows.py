"""Series cut into windows: what was seen before an origin, and the horizon after it."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from recurra.data.batches.batch import WHOLE, Partition
from recurra.data.series.covariates import CovariateEncoding
from recurra.data.series.series_set import SeriesSet

__all__ = ["Window", "WindowSampler", "WindowShape", "Windows", "empty_window", "input_sizes"]


@dataclass(frozen=True)
class WindowShape:
    """Sizes in steps.

    Attributes:
        seasons: lengths of the cycles, shortest first.
        context: what the encoder reads, S.
        horizon: what is forecast, T.
    """

    seasons: tuple[int, ...]
    context: int
    horizon: int

    @property
    def history(self) -> int:
        """L: the context with the longest season before it, and at least two of those seasons, for the lags."""
        return max(self.context + self.seasons[-1], 2 * self.seasons[-1])

    @property
    def least_origin(self) -> int:
        """The fewest steps before an origin to learn from: a season and a step, or a short context."""
        return min(self.history, self.seasons[0] + 1)


class Window(NamedTuple):
    """A batch of windows; S context, L history, T horizon; NaN if nothing was observed."""

    history: Tensor  # (B, L) float64
    target: Tensor  # (B, T) float64
    past: Tensor  # (B, S, P)
    known: Tensor  # (B, S + T, K)
    numbers: Tensor  # (B, N)
    categories: Tensor  # (B, C) int64

    def to(self, device: torch.device) -> "Window":
        """The same on a device."""
        return Window(*(part.to(device) for part in self))


class Windows:
    """All series of a set, ready to be cut at any origin; an origin is a count of steps before the horizon.

    Args:
        data: the series.
        encoding: of the covariates.
        shape: of the windows.
    """

    def __init__(self, data: SeriesSet, encoding: CovariateEncoding, shape: WindowShape) -> None:
        self.shape = shape
        self.lengths = np.array([len(series.y) for series in data])
        encoded = [encoding.encode(data, series, shape.horizon) for series in data]
        before, after = shape.history, shape.horizon
        # Every series stands in one flat array between enough padding for any window cut from it.
        self._starts = np.cumsum([0, *(self.lengths[:-1] + before + after)]) + before
        self._target = np.concatenate([np.pad(series.y, (before, after), constant_values=np.nan) for series in data])
        self._past = np.concatenate([np.pad(e.past, ((before, after), (0, 0))) for e in encoded])
        self._known = np.concatenate([np.pad(e.known, ((before, 0), (0, 0))) for e in encoded])
        self._numbers = np.stack([e.numbers for e in encoded])
        self._categories = np.stack([e.categories for e in encoded])

    def cut(self, rows: np.ndarray, origins: np.ndarray) -> Window:
        """The windows of series `rows` (B,) at `origins` (B,), each 0 to the series' length."""
        shape = self.shape
        at = (self._starts[rows] + origins)[:, None]
        target = self._target[at + np.arange(-shape.history, shape.horizon)]
        return Window(
            torch.from_numpy(target[:, : shape.history]),
            torch.from_numpy(target[:, shape.history :]),
            torch.from_numpy(self._past[at + np.arange(-shape.context, 0)]),
            torch.from_numpy(self._known[at + np.arange(-shape.context, shape.horizon)]),
            torch.from_numpy(self._numbers[rows]),
            torch.from_numpy(self._categories[rows]),
        )


class WindowSampler:
    """Training windows: a series at random, an origin at random in it; the same for the same seed and step.

    Args:
        windows: to cut from.
        ends: steps of each series that training may see, (series,).
        batch_size: B, of all processes together.
        seed: of the generator.
        partition: the part of every batch to cut.
    """

    def __init__(
        self, windows: Windows, ends: np.ndarray, batch_size: int, seed: int, partition: Partition = WHOLE
    ) -> None:
        shape = windows.shape
        last = ends - shape.horizon
        self._rows = np.flatnonzero(last >= shape.least_origin)
        self._last = last[self._rows]
        # Long series are learned from with a full history; short ones from the half they have.
        self._first = np.maximum(np.minimum(shape.history, self._last // 2), shape.least_origin)
        self._windows = windows
        self._batch_size = batch_size
        self._seed = seed
        self._partition = partition

    def __call__(self, step: int) -> Window:
        """The windows of a step, those of this partition."""
        generator = np.random.default_rng((self._seed, step))
        chosen = generator.integers(len(self._rows), size=self._batch_size)
        origins = generator.integers(self._first[chosen], self._last[chosen] + 1)
        return self._windows.cut(self._partition.of(self._rows[chosen]), self._partition.of(origins))

    def spread(self, most: int) -> tuple[np.ndarray, np.ndarray]:
        """Series (N,) and origins (N,) of all windows that may be sampled, or of `most` spread evenly over them."""
        counts = self._last - self._first + 1
        chosen = np.unique(np.linspace(0, counts.sum() - 1, min(most, int(counts.sum()))).round().astype(int))
        ends = counts.cumsum()
        index = np.searchsorted(ends, chosen, side="right")
        return self._rows[index], self._first[index] + chosen - (ends - counts)[index]


def input_sizes(window: Window) -> dict[str, int]:
    """The number of features of each part of a window that depends on the data."""
    return {name: getattr(window, name).shape[-1] for name in ("past", "known", "numbers", "categories")}


def empty_window(shape: WindowShape, sizes: dict[str, int]) -> Window:
    """One window of zeros, of the sizes that `input_sizes` returns."""
    return Window(
        torch.zeros(1, shape.history, dtype=torch.float64),
        torch.zeros(1, shape.horizon, dtype=torch.float64),
        torch.zeros(1, shape.context, sizes["past"]),
        torch.zeros(1, shape.context + shape.horizon, sizes["known"]),
        torch.zeros(1, sizes["numbers"]),
        torch.zeros(1, sizes["categories"], dtype=torch.int64),
    )
