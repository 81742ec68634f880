import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.text.tokens import TOKENS, Bytes, Characters, SubwordTokens, Tokenization, Words, learn_tokens
from recurra.data.text.tokens import tokenization_from_json as from_json
from recurra.errors import DataError, MissingExtraError, ParameterError

TEXT = "der Fuchs, der rote Fuchs,\nschläft im Wald – leise.\n" * 20
MIXED = "naïve 日本語\n\n  two  spaces\tand 🎈\n"


def learned(tokens: str) -> Tokenization:
    return learn_tokens(TEXT, tokens, 300 if tokens == "subwords" else None)


@given(st.text())
def test_bytes_give_back_any_text(text: str):
    tokens = Bytes()
    found = tokens.encode(text)
    assert tokens.decode(found.ids.tolist()) == text
    assert len(found.ids) == found.bytes == len(text.encode())


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\u2581")))
def test_subwords_give_back_any_text(text: str):
    tokens = _subwords()
    assert tokens.decode(tokens.encode(text).ids.tolist()) == text


def _subwords(made: list[Tokenization] = []) -> Tokenization:  # noqa: B006 (trained once)
    if not made:
        made.append(learned("subwords"))
    return made[0]


@given(st.text(min_size=1))
def test_characters_give_back_what_they_were_learned_from(text: str):
    tokens = Characters.learn(text)
    found = tokens.encode(text)
    assert tokens.decode(found.ids.tolist()) == text
    assert (found.characters, found.unknown) == (len(text), 0)


def test_words_are_what_stands_between_white_space():
    tokens = Words.learn("the cat\nthe <unk> sat\n")
    found = tokens.encode(" the   dog\n\n<unk> sat ")
    symbols = [tokens.vocabulary.symbols[token_id] for token_id in found.ids]
    assert symbols == ["the", "<unk>", "\n", "\n", "<unk>", "sat"]
    assert tokens.decode(found.ids.tolist()) == "the <unk>\n\n<unk> sat"
    # What the text itself calls unknown is known; the sizes are those of the single-spaced text.
    assert (found.unknown, found.unknown_bytes, found.words) == (1, 3, 6)
    assert found.bytes == len("the dog\n\n<unk> sat")


@pytest.mark.parametrize("tokens", TOKENS)
def test_pieces_are_the_text_and_json_keeps_all(tokens: str):
    kind = learned(tokens)
    ids = kind.encode(TEXT).ids.tolist()
    text = kind.decode(ids)
    assert text == (TEXT if tokens != "words" else "\n".join(" ".join(line.split()) for line in TEXT.split("\n")))
    assert "".join(kind.pieces(ids)) == text
    again = from_json(kind.to_json())
    assert (again.name, len(again), again.line_end, again.unknown) == (
        kind.name,
        len(kind),
        kind.line_end,
        kind.unknown,
    )
    assert again.encode(TEXT).ids.tolist() == ids
    assert kind.decode([kind.line_end]) == "\n"
    assert max(ids) < len(kind)


def test_a_character_of_several_bytes_comes_with_the_last():
    tokens = Bytes()
    assert tokens.pieces("é!".encode()) == ["", "é", "!"]
    assert tokens.pieces(b"\xc3!") == ["", "\ufffd!"]
    assert tokens.decode(b"\xc3") == "\ufffd"


def test_characters_are_numbered_by_frequency_and_the_rare_are_unknown():
    tokens = Characters.learn("aaabbc", min_count=2)
    assert tokens.vocabulary.symbols == ("\n", "\ufffd", "a", "b")
    found = tokens.encode("abé\n")
    assert found.ids.tolist() == [2, 3, 1, 0]
    assert (found.unknown, found.unknown_bytes, found.bytes) == (1, 2, 5)
    assert tokens.find_unknown("abé") == ("é", 2)
    assert tokens.find_unknown("ab\n") is None
    assert len(Characters.learn("aaabbc", max_size=3)) == 3


def test_subwords_of_long_and_small_texts():
    assert len(SubwordTokens.learn("ab " * 50, 2000)) < 300  # as many as there are
    tokens = SubwordTokens.learn("x" * 100_000 + "y", 270)
    assert tokens.decode(tokens.encode("xxy\nx").ids.tolist()) == "xxy\nx"
    with pytest.raises(ParameterError, match=r"vocabulary_size: expected at least \d+, for the text's characters"):
        SubwordTokens.learn(TEXT, 40)
    with pytest.raises(DataError, match="no subwords can be learned"):
        SubwordTokens.learn("", 300)
    assert SubwordTokens.learn("no \udcff text\n" * 9, 300).find_unknown("\udcff") is None
    assert SubwordTokens.learn(TEXT, 300).to_json() == SubwordTokens.learn(TEXT, 300).to_json()


def test_wrong_numbers_are_named():
    for tokens, options, message in (
        ("letters", {}, "tokens: expected one of characters, bytes, words, subwords, got 'letters'"),
        ("bytes", {"vocabulary_size": 20}, "vocabulary_size: expected None with bytes"),
        ("bytes", {"min_count": 2}, "min_count: expected 1 with bytes"),
        ("subwords", {"min_count": 2}, "min_count: expected 1 with subwords"),
        ("words", {"vocabulary_size": 1}, "vocabulary_size: expected .* number .* 2"),
    ):
        with pytest.raises(ParameterError, match=message):
            learn_tokens(TEXT, tokens, **options)
    with pytest.raises(DataError, match="tokens: expected one of"):
        from_json({"tokens": "letters"})
    for values in ({"tokens": "words"}, {"tokens": "subwords", "sentencepiece": "bm8="}):
        with pytest.raises(DataError, match="tokens: damaged"):
            from_json(values)


def test_without_sentencepiece_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'recurra\[text\]'"):
        learn_tokens(TEXT, "subwords")
