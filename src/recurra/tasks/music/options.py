"""How music is read and sampled, as options."""

from typing import Literal

from recurra.data.files.problems import MostUnusable
from recurra.options import Options, option

__all__ = ["MusicReading", "MusicSampling"]


class MusicReading(MostUnusable):
    """How music is read."""

    steps_per_beat: int = option(
        default=4, at_least=1, at_most=96, help="frames a quarter note; of piano rolls, what a frame is taken for"
    )
    part: Literal["train", "validation", "test"] = option(
        default="test", help="of data that state parts, the part that is predicted, evaluated or inspected"
    )


def _check_key(name: str, value: str) -> None:
    from recurra.data.music.pitches import key_classes

    key_classes(value)


class MusicSampling(Options):
    """How notes are sampled."""

    temperature: float = option(
        default=1.0,
        at_least=0,
        help="divides the log-odds of notes: below 1 safer, above 1 wilder; 0: a note sounds if that is likelier",
    )
    key: str | None = option(
        default=None, check=_check_key, help='only notes of this key are sampled, as "D minor" or "F# pentatonic"'
    )
    density: float = option(
        default=1.0, above=0, help="the odds of every note are multiplied by it: above 1 more notes sound"
    )
    particles: int = option(
        default=32,
        at_least=1,
        help="of a melody: how many accompaniments are sampled beside each other, of which those that fit its next "
        "notes survive",
    )
