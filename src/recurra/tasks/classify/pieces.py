"""A text cut into tokens, each with its place."""

import re
import unicodedata
from functools import cache
from typing import Literal, NamedTuple

__all__ = ["Piece", "cut"]

_SPACES = re.compile(r"\S+")
_CHARACTERS = re.compile(r"\S")


class Piece(NamedTuple):
    """A token of a text.

    Attributes:
        text: the token.
        start: of it in the text.
        end: after it.
    """

    text: str
    start: int
    end: int


def cut(text: str, split: Literal["words", "spaces", "characters"], most: int | None = None) -> list[Piece]:
    """The tokens of a text, the first `most` of them; none of a blank text.

    Words keep inner apostrophes and hyphens, numbers their points and commas; any other mark is a token by itself.
    """
    pattern = {"spaces": _SPACES, "characters": _CHARACTERS}.get(split) or _words()
    found: list[Piece] = []
    for match in pattern.finditer(text):
        if most is not None and len(found) == most:
            break
        found.append(Piece(match[0], match.start(), match.end()))
    return found


@cache
def _words() -> re.Pattern[str]:
    # Accents apart from their letters and the vowel signs of Indian scripts, which \w leaves out, stay with what they
    # are written on; joiners that are not seen hold the parts of a word together.
    marks = "".join(chr(point) for point in range(0x300, 0x10000) if unicodedata.category(chr(point))[0] == "M")
    word = rf"\w[\w{marks}]*"
    return re.compile(rf"{word}(?:['\u2019\-.,\u200c\u200d]{word})*|[^\w\s][{marks}]*")
