"""Normalisation of features: by the statistics of training, or causally by what a stream has had so far."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from recurra.errors import DataError
from recurra.shapes import check_positive

__all__ = ["FeatureStatistics", "SlidingMean", "SlidingMeanStream"]

_SMALLEST_DEVIATION = 1e-3


@dataclass(frozen=True, eq=False)
class FeatureStatistics:
    """The mean and the standard deviation of each feature over all frames of training.

    Attributes:
        mean: (F,) float32.
        deviation: (F,) float32, at least 0.001.
    """

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, features: Iterable[np.ndarray]) -> Self:
        """The statistics of the frames of one or more sounds (T, F). Raises DataError: there is no frame."""
        count, total, squares = 0, np.zeros(()), np.zeros(())
        for one in features:
            count += len(one)
            total = total + one.sum(axis=0, dtype=np.float64)
            squares = squares + np.square(one, dtype=np.float64).sum(axis=0)
        if not count:
            raise DataError("no recording is long enough for a frame of features")
        mean = total / count
        deviation = np.sqrt(np.maximum(squares / count - mean**2, 0))
        return cls(mean.astype(np.float32), np.maximum(deviation, _SMALLEST_DEVIATION).astype(np.float32))

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Features (T, F) with mean 0 and deviation 1 on average over training, float32."""
        return (features - self.mean) / self.deviation

    def to_json(self) -> dict[str, Any]:
        """The statistics as JSON values, which `from_json` reads."""
        return {"mean": self.mean.tolist(), "deviation": self.deviation.tolist()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Read the result of `to_json`."""
        return cls(np.array(values["mean"], np.float32), np.array(values["deviation"], np.float32))


@dataclass(frozen=True, eq=False)
class SlidingMean:
    """Subtracts the mean of the last frames, and divides by the deviation of training: causal, for streams.

    The mean adapts to a room and a microphone. While there are fewer than `window` frames, the mean of training counts
    as the missing ones (as in Kaldi's online cepstral mean normalization).

    Attributes:
        statistics: the statistics of training.
        window: the frames that are averaged, the present one included.
    """

    statistics: FeatureStatistics
    window: int = 300

    def __post_init__(self) -> None:
        check_positive("window", self.window)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """The normalised features (T, F) float32 of a whole recording."""
        return self.stream().accept(features)

    def stream(self) -> "SlidingMeanStream":
        """The same for features that come in chunks."""
        return SlidingMeanStream(self)


class SlidingMeanStream:
    """The state of one stream: the last frames (window, F), and their sum (F,) in float64.

    Attributes:
        recent: (window, F) float32, the oldest first; zeros in place of frames before the first.
        total: (F,) float64, the sum of these.
        count: the frames among them.
    """

    def __init__(self, normalization: SlidingMean) -> None:
        self._statistics, self._window = normalization.statistics, normalization.window
        size = len(self._statistics.mean)
        self.recent, self.total, self.count = np.zeros((self._window, size), np.float32), np.zeros(size), 0

    def accept(self, features: np.ndarray) -> np.ndarray:
        """The normalised features of the next frames (t, F); the same numbers in chunks of any size."""
        frames = np.concatenate([self.recent, features])
        # Frame by frame, so that the sums do not depend on the chunks.
        changes = features.astype(np.float64) - frames[: len(features)]
        totals = np.add.accumulate(np.concatenate([self.total[None], changes]))
        seen = np.minimum(self.count + 1 + np.arange(len(features)), self._window)
        missing = (self._window - seen)[:, None] * self._statistics.mean.astype(np.float64)
        self.recent, self.total = frames[len(features) :], totals[-1]
        self.count = int(seen[-1]) if len(seen) else self.count
        return ((features - (totals[1:] + missing) / self._window) / self._statistics.deviation).astype(np.float32)
