"""Augmentation of recordings and of their features, as options. All of it is a pure function of a generator."""

import math
from pathlib import Path

import numpy as np

from recurra.data.audio.folders import ENDINGS
from recurra.data.audio.libraries import soxr
from recurra.data.audio.sound import Sound, read_sound
from recurra.errors import DataError, ParameterError
from recurra.options import Options, option

__all__ = ["AugmentationOptions", "Noise", "louder", "masked", "speed_changed"]


def _check_speeds(name: str, value: tuple[float, ...]) -> None:
    if not value or not all(0.5 <= speed <= 2 for speed in value) or len(set(value)) < len(value):
        raise ParameterError(name, "one or more factors from 0.5 to 2, each once", value)


class AugmentationOptions(Options):
    """How training varies recordings: speed and volume (Ko et al. 2015), noise, and masks (SpecAugment, Park et al.
    2019)."""

    speeds: tuple[float, ...] = option(
        default=(0.9, 1.0, 1.1),
        check=_check_speeds,
        help="speeds of which training samples one for each recording of an epoch; pitch changes with them",
        group="augmentation",
    )
    volume_db: float = option(
        default=6.0,
        at_least=0,
        at_most=60,
        help="decibels by which training makes a recording louder or softer at most",
        group="augmentation",
    )
    noise: str | None = option(
        default=None, help="folder of recordings of noise, which training adds", group="augmentation"
    )
    noise_fraction: float = option(
        default=0.5, at_least=0, at_most=1, help="fraction of recordings that noise is added to", group="augmentation"
    )
    noise_snr: tuple[float, float] = option(
        default=(5.0, 25.0),
        help="least and greatest signal-to-noise ratio, in decibels",
        group="augmentation",
    )
    frequency_masks: int = option(
        default=2, at_least=0, help="bands that are masked in the features of each recording", group="augmentation"
    )
    frequency_mask_width: float = option(
        default=0.2, above=0, at_most=1, help="width of a band at most, of all features", group="augmentation"
    )
    time_masks: int = option(
        default=2, at_least=0, help="spans of frames that are masked in each recording", group="augmentation"
    )
    time_mask_width: int = option(default=50, at_least=1, help="frames of such a span at most", group="augmentation")
    time_mask_fraction: float = option(
        default=0.1,
        above=0,
        at_most=1,
        help="fraction of a recording that such a span masks at most",
        group="augmentation",
    )

    def check(self) -> None:
        if self.noise_snr[0] > self.noise_snr[1]:
            raise ParameterError("noise_snr", "the least ratio first", self.noise_snr)


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


def masked(features: np.ndarray, options: AugmentationOptions, generator: np.random.Generator) -> np.ndarray:
    """A copy of normalized features (T, F) in which bands and spans of frames are 0, their mean (Park et al. 2019).

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
