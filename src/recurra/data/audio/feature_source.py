"""The features of utterances for training and testing, cached in memory up to a budget."""

from collections.abc import Callable, Sequence

import numpy as np

from recurra.data.audio.augmentation import Noise, louder, masked, speed_changed, warped
from recurra.data.audio.augmentation_options import AugmentationOptions
from recurra.data.audio.log_mel import LogMel
from recurra.data.audio.sound import Sound
from recurra.data.audio.utterances import Utterances
from recurra.shapes import check_positive

__all__ = ["CACHE_BYTES", "FeatureSource", "Normalization"]

CACHE_BYTES = 1 << 30
"""The default budget of a cache: about nine hours of features at 80 bands and 10 milliseconds."""

Normalization = Callable[[np.ndarray], np.ndarray]
"""From features (T, F) to normalised ones, such as `FeatureStatistics` or `SlidingMean`."""


class FeatureSource:
    """The features of each utterance, plain or as an epoch of training varies them.

    How an utterance is varied is a function of the seed, the epoch and its row alone. What the epoch does not change is
    cached: the features of each speed; with noise the samples of each speed, in 16 bits. Of what exceeds the budget the
    first that came stay cached, and the rest is computed again each time.

    Args:
        utterances: what is read.
        log_mel: the features.
        normalization: normalises them; None: they stay as they are.
        augmentation: how training varies them; None: not at all.
        seed: the seed of variation.
        channel: the channel that is read, from 0. None: the mean of all channels.
        cache_bytes: the budget. 0: nothing is cached.

    Raises:
        DataError: the folder of noise cannot be used.
        ParameterError: a parameter is out of range.
    """

    def __init__(
        self,
        utterances: Utterances,
        log_mel: LogMel,
        normalization: Normalization | None = None,
        *,
        augmentation: AugmentationOptions | None = None,
        seed: int = 0,
        channel: int | None = None,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        check_positive("seed", seed, at_least=0)
        check_positive("cache_bytes", cache_bytes, at_least=0)
        self._utterances, self._log_mel, self._normalization = utterances, log_mel, normalization
        self._augmentation, self._seed, self._channel = augmentation, seed, channel
        adds_noise = augmentation is not None and augmentation.noise is not None and augmentation.noise_fraction > 0
        self._noise = Noise(augmentation.noise, log_mel.sample_rate) if adds_noise else None  # type: ignore[union-attr,arg-type]
        self._cached: dict[tuple[int, float], np.ndarray] = {}
        self._budget = cache_bytes

    def __len__(self) -> int:
        return len(self._utterances)

    def plain(self, row: int) -> np.ndarray:
        """The features (T, F) of an utterance as it is, normalised. Raises DataError: it cannot be read."""
        features = self._log_mel(self._samples(row, 1.0)) if self._noise is not None else self._features(row, 1.0)
        return features if self._normalization is None else self._normalization(features)

    def varied(self, row: int, epoch: int) -> np.ndarray:
        """The features (T, F) of an utterance as an epoch (from 0) varies them, normalised.

        Raises:
            DataError: it cannot be read.
        """
        options = self._augmentation
        if options is None:
            return self.plain(row)
        generator = np.random.default_rng([self._seed, epoch, row])
        speed = options.speeds[int(generator.integers(len(options.speeds)))]
        decibels = float(generator.uniform(-options.volume_db, options.volume_db))
        if self._noise is None:
            features = self._features(row, speed)
        else:
            samples = self._samples(row, speed)
            if generator.random() < options.noise_fraction:
                samples = self._noise.added(samples, float(generator.uniform(*options.noise_snr)), generator)
            features = self._log_mel(samples)
        features = louder(features, decibels)
        if options.warp:
            features = warped(features, float(generator.uniform(1 - options.warp, 1 + options.warp)), self._log_mel)
        return masked(features if self._normalization is None else self._normalization(features), options, generator)

    def lengths(self, seconds: Sequence[float]) -> np.ndarray:
        """The largest number of frames (N,) that each utterance can have, from its duration; for batches by length."""
        slowest = 1.0 if self._augmentation is None else min(*self._augmentation.speeds, 1.0)
        rate = self._log_mel.sample_rate / slowest
        return np.array([self._log_mel.frames(int(np.ceil(one * rate)) + 1) for one in seconds])

    def _features(self, row: int, speed: float) -> np.ndarray:
        cached = self._cached.get((row, speed))
        if cached is None:
            cached = self._log_mel(self._read(row, speed))
            self._cache(row, speed, cached)
        return cached

    def _samples(self, row: int, speed: float) -> np.ndarray:
        cached = self._cached.get((row, speed))
        if cached is None:
            samples = self._read(row, speed)
            cached = np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)
            self._cache(row, speed, cached)
        # A cached recording and one read again are to be the same.
        return cached.astype(np.float32) / 32768

    def _read(self, row: int, speed: float) -> np.ndarray:
        sound: Sound = self._utterances[row].read(self._log_mel.sample_rate, self._channel)
        return speed_changed(sound, speed).samples

    def _cache(self, row: int, speed: float, values: np.ndarray) -> None:
        if values.nbytes <= self._budget:
            self._budget -= values.nbytes
            self._cached[row, speed] = values
