"""A text cut into tokens, each with its place."""

import re
from typing import Literal, NamedTuple

__all__ = ["Piece", "cut"]

_PATTERNS = {
    # Words with inner apostrophes and hyphens, numbers with their points; any other mark by itself.
    "words": re.compile(r"\w+(?:['\u2019\-.,](?=\w)\w+)*|[^\w\s]"),
    "spaces": re.compile(r"\S+"),
    "characters": re.compile(r"\S"),
}


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
    """The tokens of a text, the first `most` of them; none of a blank text."""
    found: list[Piece] = []
    for match in _PATTERNS[split].finditer(text):
        if most is not None and len(found) == most:
            break
        found.append(Piece(match[0], match.start(), match.end()))
    return found
