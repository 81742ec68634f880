"""Captions as words, alike for people's captions and a model's."""

import re
import unicodedata

from recurra.data.text.words import split_words

__all__ = ["caption_words"]

_CLITICS = r"n't|'(?:s|re|ve|ll|d|m)"
_APART = re.compile(rf"\s+({_CLITICS})(?!\w)")
_LAST = re.compile(rf"(.+?)({_CLITICS})")


def caption_words(text: str) -> list[str]:
    """The words of a caption in lower case, without punctuation; none of a text without a word.

    This is near to what coco-caption makes of a caption: "don't" is "do" and "n't", "dog's" is "dog" and "'s" (whether
    or not a space is before it), a word keeps its hyphens, a number its points and commas. Other marks and symbols are
    left out, also those that coco-caption keeps, such as "&".
    """
    text = unicodedata.normalize("NFC", text).lower().replace("\u2019", "'")
    words: list[str] = []
    for piece in split_words(_APART.sub(r"\1", text)):
        if not any(map(str.isalnum, piece)):
            continue
        match = _LAST.fullmatch(piece)
        words += [piece] if match is None else match.groups()
    return words
