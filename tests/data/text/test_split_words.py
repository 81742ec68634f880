import pytest

from recurra.data.text.words import split_words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ann sees Bob.", ["Ann", "sees", "Bob", "."]),
        ("I don't, she’ll; \u00a0well-known\n", ["I", "don't", ",", "she’ll", ";", "well-known"]),
        ("3.5 is 1,000,000?!", ["3.5", "is", "1,000,000", "?", "!"]),
        ("cafe\u0301 हिन्दी भाषा।", ["cafe\u0301", "हिन्दी", "भाषा", "।"]),
        (" \n", []),
    ],
)
def test_words_and_marks(text: str, expected: list[str]) -> None:
    assert split_words(text) == expected
