"""How images and their captions are read, and how captions are searched for, as options."""

from typing import Literal

from recurra.data.files.problems import MostUnusable
from recurra.options import option
from recurra.task.beam_options import BeamOptions

__all__ = ["CaptionReading", "CaptionSearch"]


class CaptionReading(MostUnusable):
    """How images and their captions are read."""

    images: str | None = option(
        default=None, help="folder of the images; by default that of the file, or the folder `images` in it"
    )
    feature_cache: str | None = option(
        default=None,
        help="folder of pretrained features, 125 kB an image; by default in RECURRA_CACHE or the user's cache folder",
    )
    part: Literal["train", "validation", "test"] = option(
        default="test", help="of data that state parts, the part that is predicted, evaluated or inspected"
    )


class CaptionSearch(BeamOptions):
    """Beam search, and how many images are captioned at once."""

    beam_size: int = option(default=3)
    no_repeat_ngram: int = option(
        default=2, at_least=0, help="length of the n-grams of words that may not occur twice; 0: no such rule"
    )
    max_words: int | None = option(
        default=None, at_least=1, help="words of a caption at most; by default as many as in training"
    )
    batch_size: int = option(default=32, at_least=1, help="images captioned at once")
