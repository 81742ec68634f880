"""Texts cut into tokens."""

import re
from typing import Literal, NamedTuple

from recurra.data.text.words import word_pattern

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
    pattern = {"spaces": _SPACES, "characters": _CHARACTERS}.get(tokenization) or word_pattern()
    pieces: list[Piece] = []
    for match in pattern.finditer(text):
        if max_length is not None and len(pieces) == max_length:
            break
        pieces.append(Piece(match[0], match.start(), match.end()))
    return pieces
