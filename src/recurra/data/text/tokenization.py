"""Texts cut into tokens."""

import re
import unicodedata
from functools import cache
from typing import Literal, NamedTuple

__all__ = ["Piece", "Tokenization", "cut"]

Tokenization = Literal["words", "spaces", "characters"]

_SPACES = re.compile(r"\S+")
_CHARACTERS = re.compile(r"\S")


class Piece(NamedTuple):
    """A token of a text.

    Attributes:
        text: the token.
        start: its first character in the text.
        end: the character after it.
    """

    text: str
    start: int
    end: int


def cut(text: str, tokenization: Tokenization, max_length: int | None = None) -> list[Piece]:
    """The tokens of a text, the first `max_length` of them; none of a blank text.

    Words keep inner apostrophes and hyphens, numbers their points and commas; any other mark is a token by itself.
    """
    pattern = {"spaces": _SPACES, "characters": _CHARACTERS}.get(tokenization) or _words()
    pieces: list[Piece] = []
    for match in pattern.finditer(text):
        if max_length is not None and len(pieces) == max_length:
            break
        pieces.append(Piece(match[0], match.start(), match.end()))
    return pieces


@cache
def _words() -> re.Pattern[str]:
    # Combining accents and the vowel signs of Indian scripts, which \w leaves out, stay with their letters. Invisible
    # joiners hold the parts of a word together.
    marks = "".join(chr(point) for point in range(0x300, 0x10000) if unicodedata.category(chr(point))[0] == "M")
    word = rf"\w[\w{marks}]*"
    return re.compile(rf"{word}(?:['\u2019\-.,\u200c\u200d]{word})*|[^\w\s][{marks}]*")
