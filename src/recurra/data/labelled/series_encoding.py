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
    """

    values: Tensor
    lengths: Tensor

    def to(self, device: torch.device) -> "Steps":
        """The same on a device; lengths stay on the CPU, where the layers read them."""
        return Steps(self.values.to(device), self.lengths)

    def varied(self, jitter: float, scaling: float, generator: np.random.Generator) -> "Steps":
        """The same with noise, as training sees it.

        Args:
            jitter: deviation of what is added to each value.
            scaling: deviation of the factor about 1 of each feature of a series.
            generator: the noise is sampled from.
        """
        batch, _, size = self.values.shape
        factors = 1 + scaling * generator.standard_normal((batch, 1, size), np.float32)
        noise = jitter * generator.standard_normal(self.values.shape, np.float32)
        return Steps(self.values * torch.from_numpy(factors) + torch.from_numpy(noise), self.lengths)


@dataclass(frozen=True)
class SeriesEncoding:
    """How series become features of similar size.

    A missing value is read as 0, which is the mean if series are normalised. If training has missing values, the
    channels are followed by as many that mark them (1: missing).

    Attributes:
        channels: their names.
        normalization: see `Normalization`.
        mean: of each channel in training.
        deviation: standard deviation of each, 1 if it never changes.
        missing: whether training has missing values.
        longest: steps of the longest series of training.
        count: series of training.
    """

    channels: tuple[str, ...]
    normalization: Normalization
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    missing: bool
    longest: int
    count: int

    @classmethod
    def of(
        cls,
        series: Sequence[np.ndarray],
        channels: tuple[str, ...],
        normalization: Normalization = "channel",
    ) -> "SeriesEncoding":
        """From training series, each (T, C)."""
        values = np.concatenate(series).astype(np.float64)
        mean, deviation = _mean_and_deviation(values)
        missing = bool(np.isnan(values).any())
        scale = tuple(mean.tolist()), tuple(deviation.tolist())
        return cls(channels, normalization, *scale, missing, max(map(len, series)), len(series))

    @property
    def size(self) -> int:
        """Features of a step, I."""
        return len(self.channels) * (2 if self.missing else 1)

    def encode(self, series: np.ndarray) -> Tensor:
        """The features (T, I) of a series (T, C)."""
        mean, deviation = np.array(self.mean), np.array(self.deviation)
        if self.normalization == "series":
            mean, deviation = _mean_and_deviation(series.astype(np.float64))
        values = series if self.normalization == "none" else (series - mean) / deviation
        absent = np.isnan(values)
        parts = [np.where(absent, 0, values)] + ([absent] if self.missing else [])
        return torch.from_numpy(np.concatenate(parts, axis=1).astype(np.float32))

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
        return Steps(*collate([self._steps[index] for index in indices]))

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
