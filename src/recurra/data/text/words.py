"""Splitting plain text into words and marks."""

import re
import unicodedata
from functools import cache

__all__ = ["split_words", "word_pattern"]


def split_words(text: str) -> list[str]:
    """The words and marks of a text; none of a blank text.

    Words keep inner apostrophes and hyphens, numbers their points and commas; any other mark is an element by itself.
    """
    return word_pattern().findall(text)


@cache
def word_pattern() -> re.Pattern[str]:
    """The pattern of a word or a mark; see `split_words`."""
    # Combining accents and the vowel signs of Indian scripts, which \w leaves out, stay with their letters. Invisible
    # joiners hold the parts of a word together.
    marks = "".join(chr(point) for point in range(0x300, 0x10000) if unicodedata.category(chr(point))[0] == "M")
    word = rf"\w[\w{marks}]*"
    return re.compile(rf"{word}(?:['\u2019\-.,\u200c\u200d]{word})*|[^\w\s][{marks}]*")
