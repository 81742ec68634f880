"""Augmentation of recordings, as options."""

from recurra.errors import ParameterError
from recurra.options import Options, option

__all__ = ["AugmentationOptions"]


def _check_speeds(name: str, value: tuple[float, ...]) -> None:
    if not value or not all(0.5 <= speed <= 2 for speed in value) or len(set(value)) < len(value):
        raise ParameterError(name, "one or more factors from 0.5 to 2, each once", value)


class AugmentationOptions(Options):
    """How training varies recordings: speed and volume (Ko et al. 2015), the length of vocal tracts (Jaitly and Hinton
    2013), noise, and masks (SpecAugment, Park et al. 2019)."""

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
    warp: float = option(
        default=0.0,
        at_least=0,
        at_most=0.5,
        help="fraction by which training moves formants up or down at most, as of another speaker's vocal tract "
        "(Jaitly and Hinton 2013); 0: not at all",
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
