"""Augmentation of landmarks, as options."""

from recurra.options import Options, option

__all__ = ["MotionAugmentation"]


class MotionAugmentation(Options):
    """How training varies clips of landmarks."""

    rotation: float = option(
        default=15.0,
        at_least=0,
        at_most=180,
        help="degrees by which training turns the points of a clip about each axis at most",
        group="augmentation",
    )
    sensor_rotation: float = option(
        default=15.0,
        at_least=0,
        at_most=180,
        help="degrees by which training turns the axes of sensors, each three channels, at most",
        group="augmentation",
    )
    stretch: float = option(
        default=0.2,
        at_least=0,
        at_most=1,
        help="fraction by which training makes a clip longer at most; it makes clips as much shorter",
        group="augmentation",
    )
