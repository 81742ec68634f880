"""Augmentation of recordings and of their features. All of it is a pure function of a generator."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from recurra.data.audio.augmentation_options import AugmentationOptions
from recurra.data.audio.folders import ENDINGS
from recurra.data.audio.libraries import soxr
from recurra.data.audio.log_mel import LogMel
from recurra.data.audio.sound import Sound, read_sound
from recurra.errors import DataError

__all__ = ["Noise", "louder", "masked", "speed_changed", "warped"]


def speed_changed(sound: Sound, speed: float) -> Sound:
    """The sound played faster by a factor, 1 / speed as long, at the same sample rate."""
    if speed == 1:
        return sound
    return Sound(soxr().resample(sound.samples, round(sound.sample_rate * speed), sound.sample_rate), sound.sample_rate)


def louder(features: np.ndarray, decibels: float) -> np.ndarray:
    """Log-mel features (T, F) of the same sound at another volume.

    They are those of the samples multiplied by 10^(decibels / 20), except below the smallest energy.
    """
    smallest = math.log(np.finfo(np.float32).eps)
    return np.maximum(features + np.float32(decibels * math.log(10) / 10), np.float32(smallest))


def warped(features: np.ndarray, factor: float, log_mel: LogMel) -> np.ndarray:
    """Log-mel features (T, F) as of a speaker whose vocal tract is longer by a factor (Jaitly and Hinton 2013).

    A band then has the energy of the band at `factor` times its frequency, interpolated between the bands around it;
    beyond the highest band, that of the highest.

    Args:
        features: not normalised.
        factor: above 1, formants become lower, as of a longer vocal tract; below 1, higher.
        log_mel: how they were computed.
    """
    low, high = _mel(log_mel.low_hz), _mel(log_mel.high_hz or log_mel.sample_rate / 2)
    size = features.shape[1]
    spacing = (high - low) / (size + 1)
    centres = low + spacing * np.arange(1, size + 1)
    hertz = 700 * (np.exp(centres / 1127) - 1) * factor
    position = np.clip((_mel(hertz) - centres[0]) / spacing, 0, size - 1)
    below = np.minimum(position.astype(int), size - 2)
    weight = (position - below).astype(np.float32)
    return features[:, below] * (1 - weight) + features[:, below + 1] * weight


def masked(features: np.ndarray, options: AugmentationOptions, generator: np.random.Generator) -> np.ndarray:
    """A copy of normalised features (T, F) in which bands and spans of frames are 0, their mean (Park et al. 2019).

    The width of each mask is uniform from 0 to the largest, and its begin uniform over where it fits.
    """
    features = features.copy()
    frames, size = features.shape
    widest = max(int(options.frequency_mask_width * size), 1)
    longest = min(options.time_mask_width, int(options.time_mask_fraction * frames))
    for _ in range(options.frequency_masks):
        begin, end = _span(size, widest, generator)
        features[:, begin:end] = 0
    for _ in range(options.time_masks):
        begin, end = _span(frames, longest, generator)
        features[begin:end] = 0
    return features


def _mel(hertz: Any) -> Any:
    return 1127 * np.log1p(hertz / 700)


def _span(length: int, longest: int, generator: np.random.Generator) -> tuple[int, int]:
    width = int(generator.integers(min(longest, length) + 1))
    begin = int(generator.integers(length - width + 1))
    return begin, begin + width


class Noise:
    """Noise from a folder of recordings, at any depth. They stay in memory.

    Args:
        folder: the folder.
        sample_rate: samples a second.

    Raises:
        DataError: there is no recording in the folder, one cannot be read, or one is silent.
    """

    def __init__(self, folder: str | Path, sample_rate: int) -> None:
        paths = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in ENDINGS)
        if not paths:
            raise DataError(f"{folder}: no recordings of noise are in this folder.")
        self._noises = [read_sound(path, sample_rate).samples for path in paths]
        silent = next((path for path, noise in zip(paths, self._noises, strict=True) if not noise.any()), None)
        if silent is not None:
            raise DataError(f"{silent}: a recording of noise is silent. Remove it.")

    def added(self, samples: np.ndarray, snr: float, generator: np.random.Generator) -> np.ndarray:
        """Samples (N,) with a random stretch of noise, repeated if it is shorter.

        Args:
            samples: the recording.
            snr: its power over that of the noise, in decibels.
            generator: chooses the noise and where it begins.
        """
        noise = self._noises[int(generator.integers(len(self._noises)))]
        begin = int(generator.integers(max(len(noise) - len(samples), 0) + 1))
        stretch = np.resize(noise[begin:], len(samples))
        power, level = float(np.mean(np.square(samples))), float(np.mean(np.square(stretch)))
        if not power or not level:
            return samples
        return samples + stretch * np.float32(math.sqrt(power / level / 10 ** (snr / 10)))
