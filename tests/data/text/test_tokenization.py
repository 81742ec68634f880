from itertools import pairwise
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.text.tokenization import cut

SPLITS: list[Literal["words", "spaces", "characters"]] = ["words", "spaces", "characters"]

# A text, and its words with | between.
WORDS = [
    ("I don't, she’ll; rock'n'roll", "I|don't|,|she’ll|;|rock'n'roll"),
    ("a well-known state-of-the-art - thing-", "a|well-known|state-of-the-art|-|thing|-"),
    ("3.5 is 1,000,000.", "3.5|is|1,000,000|."),
    ("What?! (no)...", "What|?|!|(|no|)|.|.|."),
    ("'quoted' dogs' -5", "'|quoted|'|dogs|'|-|5"),
    ("naïve Straße ΣΊΣΥΦΟΣ приве́т", "naïve|Straße|ΣΊΣΥΦΟΣ|приве́т"),
    ("cafe\u0301 bon", "cafe\u0301|bon"),
    ("हिन्दी भाषा।", "हिन्दी|भाषा|।"),
    ("می\u200cخواهم", "می\u200cخواهم"),
    ("I ❤\ufe0f U 🙂!", "I|❤\ufe0f|U|🙂|!"),
    ("日本語です。", "日本語です|。"),
    ("x_y #tag", "x_y|#|tag"),
    ("one\u00a0two\u3000three\n\tfour", "one|two|three|four"),
    ("", ""),
    (" \n\t ", ""),
]


@pytest.mark.parametrize(("text", "expected"), WORDS)
def test_words(text: str, expected: str) -> None:
    assert [piece.text for piece in cut(text, "words")] == [word for word in expected.split("|") if word]


def test_spaces_and_characters() -> None:
    text = " ab,  c'd \n"
    assert cut(text, "spaces") == [("ab,", 1, 4), ("c'd", 6, 9)]
    assert [piece.text for piece in cut(text, "characters")] == list("ab,c'd")


@given(st.text(), st.sampled_from(SPLITS), st.integers(0, 4))
def test_places_are_right_and_nothing_is_lost(text: str, split, most: int) -> None:
    pieces = cut(text, split)
    assert all(text[piece.start : piece.end] == piece.text != "" for piece in pieces)
    assert all(one.end <= other.start for one, other in pairwise(pieces))
    assert "".join(piece.text for piece in pieces) == "".join(text.split())
    assert not any(piece.text.split() != [piece.text] for piece in pieces)
    assert cut(text, split, most) == pieces[:most]
