"""Series as a network reads them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from recurra.data.batches.buckets import collate
from recurra.errors import DataError

__all__ = ["EncodedSeries", "Normalization", "SeriesEncoding", "Steps"]

Normalization = Literal["channel", "series", "none"]
"""Of series to mean 0 and deviation 1: by channel as in training, each series by itself, or none."""


@dataclass(frozen=True)
class Steps:
    """A batch of series.

    Attributes:
        values: (B, T, I).
        lengths: true lengths (B,), int64 on the CPU.
        timed: whether the last feature is a time, to which no noise is added.
    """

    values: Tensor
    lengths: Tensor
    timed: bool = False

    def to(self, device: torch.device) -> "Steps":
        """The same on a device; lengths stay on the CPU, where the layers read them."""
        return Steps(self.values.to(device), self.lengths, self.timed)

    def varied(self, jitter: float, scaling: float, generator: np.random.Generator) -> "Steps":
        """The same with noise, as training sees it.

        Args:
            jitter: deviation of what is added to each value.
            scaling: deviation of the factor about 1 of each feature of a series.
            generator: the noise is sampled from.
        """
        batch, _, size = self.values.shape
        varied = slice(0, size - self.timed)
        factors = 1 + scaling * generator.standard_normal((batch, 1, size), np.float32)
        noise = jitter * generator.standard_normal(self.values.shape, np.float32)
        values = self.values.clone()
        values[:, :, varied] = (values * torch.from_numpy(factors) + torch.from_numpy(noise))[:, :, varied]
        return Steps(values, self.lengths, self.timed)


@dataclass(frozen=True)
class SeriesEncoding:
    """How series become features of similar size.

    A missing value is read as 0, which is the mean if series are normalised. If training has missing values, the
    channels are followed by as many that mark them (1: missing). Of series whose last channel is the time since the
    step before, that time follows, in mean steps of training.

    Attributes:
        channels: their names, with that of the time.
        normalization: see `Normalization`.
        mean: of each channel in training, without the time.
        deviation: standard deviation of each, 1 if it never changes.
        missing: whether training has missing values.
        longest: steps of the longest series of training.
        count: series of training.
        mean_step: the mean time between steps in training; 0: there are no times.
    """

    channels: tuple[str, ...]
    normalization: Normalization
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    missing: bool
    longest: int
    count: int
    mean_step: float = 0.0

    @classmethod
    def of(
        cls,
        series: Sequence[np.ndarray],
        channels: tuple[str, ...],
        normalization: Normalization = "channel",
        timed: bool = False,
    ) -> "SeriesEncoding":
        """From training series, each (T, C); `timed`: the last channel is the time since the step before."""
        values = np.concatenate(series).astype(np.float64)
        mean_step = 0.0
        if timed:
            values, elapsed = values[:, :-1], values[:, -1]
            mean_step = float(elapsed[elapsed > 0].mean()) if (elapsed > 0).any() else 1.0
        mean, deviation = _mean_and_deviation(values)
        missing = bool(np.isnan(values).any())
        scale = tuple(mean.tolist()), tuple(deviation.tolist())
        return cls(channels, normalization, *scale, missing, max(map(len, series)), len(series), mean_step)

    @property
    def timed(self) -> bool:
        """Whether the last channel is the time since the step before."""
        return self.mean_step > 0

    @property
    def num_values(self) -> int:
        """Channels without the time."""
        return len(self.channels) - self.timed

    @property
    def size(self) -> int:
        """Features of a step, I."""
        return self.num_values * (2 if self.missing else 1) + self.timed

    @property
    def example(self) -> dict[str, float]:
        """A step by the names of the channels: their means."""
        return dict(zip(self.channels, (*self.mean, *[self.mean_step] * self.timed), strict=True))

    def encode(self, series: np.ndarray) -> Tensor:
        """The features (T, I) of a series (T, C)."""
        elapsed = [series[:, -1:] / self.mean_step] if self.timed else []
        series = series[:, : self.num_values]
        mean, deviation = np.array(self.mean), np.array(self.deviation)
        if self.normalization == "series":
            mean, deviation = _mean_and_deviation(series.astype(np.float64))
        values = series if self.normalization == "none" else (series - mean) / deviation
        absent = np.isnan(values)
        parts = [np.where(absent, 0, values), *[absent] * self.missing, *elapsed]
        return torch.from_numpy(np.concatenate(parts, axis=1).astype(np.float32))

    def encode_step(self, item: Any) -> np.ndarray:
        """The features (1, I) of one step: a number for each channel, None if missing, in a list or by name.

        Raises:
            DataError: the step does not fit, or a series is normalised as a whole.
        """
        if self.normalization == "series":
            raise DataError("item: each series is normalised as a whole, which no single step knows")
        if isinstance(item, dict) and item.keys() == {*self.channels}:
            item = [item[name] for name in self.channels]
        numbers = isinstance(item, list) and not any(
            isinstance(one, bool) or not isinstance(one, int | float | None) for one in item
        )
        if not numbers or len(item) != len(self.channels):
            raise DataError(f"item: expected {len(self.channels)} numbers, null if missing: {', '.join(self.channels)}")
        step = np.array([[np.nan if one is None else one for one in item]], np.float64)
        if np.isinf(step).any():
            raise DataError("item: expected finite numbers")
        if self.timed and not step[0, -1] >= 0:
            raise DataError(f"item: {self.channels[-1]}: expected the time since the step before, 0 or more")
        return self.encode(step).numpy()

    def to_json(self) -> dict[str, Any]:
        """The values that `from_json` reads."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "SeriesEncoding":
        """The inverse of `to_json`."""
        read: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        return cls(**read)


class EncodedSeries:
    """Series laid out for batches.

    Args:
        encoding: of series.
        series: each (T, C), at least one.
        source: of the series, for messages.

    Raises:
        DataError: a series has other channels than training, or no step.
    """

    def __init__(self, encoding: SeriesEncoding, series: Sequence[np.ndarray], source: str = "the series") -> None:
        for position, one in enumerate(series, start=1):
            if one.ndim != 2 or one.shape[1] != len(encoding.channels) or not len(one):
                expected = f"(T, {len(encoding.channels)}) with T at least 1, the channels trained on"
                raise DataError(f"{source}: series {position} has the shape {one.shape}, expected {expected}")
        self._encoding, self._series, self._source = encoding, series, source
        self._steps = [encoding.encode(one) for one in series]
        self.lengths = np.array([len(steps) for steps in self._steps], dtype=np.int64)

    def batch(self, indices: np.ndarray) -> Steps:
        """The batch of some series."""
        return Steps(*collate([self._steps[index] for index in indices]), self._encoding.timed)

    def beginnings(self, lengths: np.ndarray) -> "EncodedSeries":
        """The first steps of each, `lengths` (N,) of them, at least one; encoded without the others."""
        beginnings = [one[:length] for one, length in zip(self._series, lengths.tolist(), strict=True)]
        return EncodedSeries(self._encoding, beginnings, self._source)


def _mean_and_deviation(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean and deviation of each channel's observed values (T, C); 0 and 1 if there is no value."""
    seen = ~np.isnan(values)
    count = np.maximum(seen.sum(0), 1)
    mean = np.where(seen, values, 0).sum(0) / count
    deviation = np.sqrt((np.where(seen, values - mean, 0) ** 2).sum(0) / count)
    return mean, np.where(deviation > 1e-12 * np.maximum(np.abs(mean), 1e-30), deviation, 1.0)
