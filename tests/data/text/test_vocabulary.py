"""Vocabularies: numbers and symbols, there and back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.text.vocabulary import Vocabulary
from recurra.errors import DataError, ParameterError


@given(st.lists(st.text(max_size=3), min_size=1))
def test_there_and_back(symbols: list[str]) -> None:
    vocabulary = Vocabulary.count(symbols)
    assert set(vocabulary.symbols) == set(symbols)
    assert vocabulary.decode(vocabulary.encode(symbols)) == symbols
    again = Vocabulary.from_json(json.loads(json.dumps(vocabulary.to_json())))
    assert (again.symbols, again.unknown) == (vocabulary.symbols, vocabulary.unknown)


def test_special_symbols_come_first_and_the_others_by_frequency() -> None:
    vocabulary = Vocabulary.count("abracadabra", special=("<pad>", "<unk>"), unknown="<unk>")
    assert vocabulary.symbols == ("<pad>", "<unk>", "a", "b", "r", "c", "d")
    assert vocabulary.encode("axb") == [2, 1, 3]
    assert len(vocabulary) == 7
    assert "a" in vocabulary
    assert "x" not in vocabulary


def test_rare_symbols_and_those_beyond_the_size_are_left_out() -> None:
    rare = Vocabulary.count("abracadabra", special=("?",), unknown="?", min_count=2)
    assert rare.symbols == ("?", "a", "b", "r")
    assert Vocabulary.count("abracadabra", special=("?",), unknown="?", max_size=2).symbols == ("?", "a")


def test_a_special_symbol_in_the_text_is_itself() -> None:
    assert Vocabulary.count(["a", "<pad>", "<pad>"], special=("<pad>",)).symbols == ("<pad>", "a")


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ParameterError, match="symbols: expected each once, got 'a'"):
        Vocabulary(["a", "b", "a"])
    with pytest.raises(ParameterError, match=r"unknown: expected .* symbols, got '\?'"):
        Vocabulary(["a"], unknown="?")
    with pytest.raises(DataError, match=r"'z' .* 2 symbols"):
        Vocabulary(["a", "b"])["z"]
