import json

import pytest

from recurra.data.audio.alphabet import BLANK, UNITS, Alphabet
from recurra.errors import DataError, ParameterError

TEXTS = ["go to the stop", "don't go", "the the stop", "to the other stop there"]


@pytest.mark.parametrize("units", UNITS)
def test_transcripts_return(units: str) -> None:
    alphabet = Alphabet.learn(TEXTS, units, size=40)  # type: ignore[arg-type]
    assert alphabet.symbols[0] == BLANK
    for text in TEXTS:
        ids = alphabet.encode(text)
        assert all(0 < one < len(alphabet) for one in ids)
        assert alphabet.decode([0, *ids, 0]) == text
        assert alphabet.unknown(text) == []
    again = Alphabet.from_json(json.loads(json.dumps(alphabet.to_json())))
    assert again == alphabet == Alphabet.learn(TEXTS, units, size=40)  # type: ignore[arg-type]
    assert again.encode(TEXTS[0]) == alphabet.encode(TEXTS[0])


def test_the_symbols_are_those_of_the_transcripts() -> None:
    assert "".join(Alphabet.learn(TEXTS).symbols[1:]) == " 'deghnoprst"
    assert Alphabet.learn(TEXTS, "words").symbols[1:] == ("don't", "go", "other", "stop", "the", "there", "to")
    assert Alphabet.learn(TEXTS, "words", min_count=2).symbols[1:] == ("go", "stop", "the", "to")
    subwords = Alphabet.learn(TEXTS, "subwords", size=40)
    assert len(subwords) <= 41
    assert not any(symbol.startswith("<0x") for symbol in subwords.symbols)
    assert any(len(symbol) > 2 for symbol in subwords.symbols[1:])
    assert subwords.decode(subwords.encode("poor tether")) == "poor tether"


@pytest.mark.parametrize(
    ("units", "text", "unknown"),
    [
        ("characters", "go x é x", ["x", "é"]),
        ("words", "go home", ["home"]),
        ("subwords", "go é", ["<0xC3>", "<0xA9>"]),
    ],
)
def test_what_is_not_in_the_alphabet_is_named(units: str, text: str, unknown: list[str]) -> None:
    alphabet = Alphabet.learn(TEXTS, units, size=40)  # type: ignore[arg-type]
    assert alphabet.unknown(text) == unknown
    with pytest.raises(DataError, match=f"{unknown[0]!r} in {text!r}"):
        alphabet.encode(text)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(DataError, match="no text"):
        Alphabet.learn(["", " "])
    with pytest.raises(ParameterError, match="units"):
        Alphabet("letters", [BLANK])
    with pytest.raises(ParameterError, match="symbols"):
        Alphabet("words", ["go"])
    with pytest.raises(ParameterError, match="at least"):
        Alphabet.learn(TEXTS, "subwords", size=3)
