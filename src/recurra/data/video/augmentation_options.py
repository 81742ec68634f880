"""Augmentation of clips, as options."""

from recurra.options import Options, option

__all__ = ["FrameAugmentation", "MotionAugmentation"]


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
    proportions: float = option(
        default=0.15,
        at_least=0,
        at_most=1,
        help="fraction by which training makes points wider apart along each axis at most, or as much closer",
        group="augmentation",
    )
    trim: float = option(
        default=0.1,
        at_least=0,
        below=0.5,
        help="fraction of a clip of landmarks that training leaves out at either end at most",
        group="augmentation",
    )
    stretch: float = option(
        default=0.2,
        at_least=0,
        at_most=1,
        help="fraction by which training makes a clip longer at most; it makes clips as much shorter",
        group="augmentation",
    )


class FrameAugmentation(Options):
    """How training varies clips of video files, beside how long they take."""

    shift: float = option(
        default=0.08,
        at_least=0,
        below=0.5,
        help="fraction of a side by which training moves the picture of a video at most",
        group="augmentation",
    )
    zoom: float = option(
        default=0.1,
        at_least=0,
        below=0.5,
        help="fraction by which training makes the picture of a video larger at most, or as much smaller; and half of "
        "that its width and its height alone",
        group="augmentation",
    )
    brightness: float = option(
        default=0.2,
        at_least=0,
        below=1,
        help="fraction by which training makes the picture of a video brighter or darker at most",
        group="augmentation",
    )
