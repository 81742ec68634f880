"""How music is read and sampled, as options."""

from typing import Literal

from recurra.data.files.problems import MostUnusable
from recurra.errors import ParameterError
from recurra.options import Options, option

__all__ = ["MusicReading", "MusicSampling", "bars_of", "check_bars"]


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
        help="divides the log-odds of notes, or log-probabilities of events: below 1 safer, above 1 wilder; 0: the "
        "likelier",
    )
    top_k: int = option(
        default=0, at_least=0, help="of events: only the k most probable are sampled (Fan et al. 2018); 0: all"
    )
    top_p: float = option(
        default=1.0,
        above=0,
        at_most=1,
        help="of events: only the most probable that together have this probability are sampled (Holtzman et al. 2020)",
    )
    key: str | None = option(
        default=None, check=_check_key, help='only notes of this key are sampled, as "D minor" or "F# pentatonic"'
    )
    density: float = option(
        default=1.0,
        above=0,
        help="the odds of every note are multiplied by it, before the temperature; those of events by how soon they "
        "begin a note: above 1 more notes sound",
    )
    particles: int = option(
        default=32,
        at_least=1,
        help="of a melody, or of music that is infilled: how many pieces are sampled beside each other, of which those "
        "that fit the next given notes survive",
    )
    beam_size: int = option(
        default=0,
        at_least=0,
        help="of a melody, or of music that is infilled: hypotheses in a beam that searches the likeliest piece, where "
        "none is sampled; 0: pieces are sampled",
    )


def bars_of(text: str) -> tuple[int, int]:
    """The first and the last of bars such as "5-8" or "5". Raises ParameterError."""
    first, _, last = text.partition("-")
    bars = first.strip(), (last or first).strip()
    if not all(one.isascii() and one.isdigit() for one in bars) or not 1 <= int(bars[0]) <= int(bars[1]):
        raise ParameterError("infill_bars", "the first and the last bar, from 1", text, "As in: --infill-bars 5-8")
    return int(bars[0]), int(bars[1])


def check_bars(name: str, value: str) -> None:
    """The check of an option that is read by `bars_of`."""
    bars_of(value)
