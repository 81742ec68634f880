import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.data.text.subwords import Subwords
from recurra.errors import DataError, MissingExtraError, ParameterError

TEXT = ["Two young men are outside near many bushes.", "Zwei junge weiße Männer sind im Freien.", ""]


@pytest.fixture(scope="module", params=["bpe", "unigram"])
def subwords(request: pytest.FixtureRequest) -> Subwords:
    return Subwords.train(TEXT * 5, 330, request.param)


@settings(max_examples=100)
@given(line=st.text())
def test_any_line_comes_back(subwords: Subwords, line: str):
    whole = " ".join(line.replace("\u2581", " ").split(" ")).encode("utf-8", "replace").decode()
    single = " ".join(word for word in whole.split(" ") if word)
    numbers = subwords.encode(line)
    assert subwords.decode(numbers) == single
    assert all(Subwords.end < number < len(subwords) for number in numbers)
    assert len(subwords.pieces(numbers)) == len(numbers)


def test_frequent_words_are_whole_and_rare_ones_are_cut(subwords: Subwords):
    assert len(subwords.encode("men are outside")) < len("menareoutside")
    assert len(subwords.encode("漢")) >= 3
    assert subwords.pieces(subwords.encode("are"))[0].startswith("▁")


def test_special_numbers_are_no_text(subwords: Subwords):
    special = [Subwords.padding, Subwords.unknown, Subwords.begin, Subwords.end]
    assert special == [0, 1, 2, 3]
    assert subwords.decode([*special, *subwords.encode("are"), *special]) == "are"


def test_the_model_is_the_same_for_the_same_text_and_from_bytes(subwords: Subwords):
    again = Subwords(subwords.to_bytes())
    assert again == subwords
    assert hash(again) == hash(subwords)
    assert again.encode(TEXT[0]) == subwords.encode(TEXT[0])
    assert Subwords.train(TEXT * 5, 330) == Subwords.train(TEXT * 5, 330)
    assert Subwords.train(TEXT * 5, 330) != Subwords.train(TEXT * 5, 331)


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_a_text_with_fewer_pieces_than_asked_for(kind: str):
    assert 264 < len(Subwords.train(["ab abc", "x" * 100_000], 5000, kind)) < 400


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_what_cannot_be_learned_is_said(kind: str):
    with pytest.raises(ParameterError, match=r"vocabulary_size: expected .* 2\d+, .* text's characters"):
        Subwords.train(["abcdefghijklmnopqrstuvwxyz"], 265, kind)
    with pytest.raises(DataError, match="no text"):
        Subwords.train(["", "  "], 300, kind)


def test_wrong_parameters_are_named():
    with pytest.raises(ParameterError, match="kind: expected one of bpe, unigram"):
        Subwords.train(TEXT, 300, "word")
    with pytest.raises(ParameterError, match=r"vocabulary_size: expected .* number .* 261"):
        Subwords.train(TEXT, 100)
    with pytest.raises(DataError, match="damaged"):
        Subwords(b"no model")


def test_without_sentencepiece_the_way_out_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'recurra\[text\]'"):
        Subwords.train(TEXT)


def test_exact_training_keeps_white_space_and_has_the_symbols_asked_for():
    exact = Subwords.train_exact(["a  b\tc ", "  漢 naïve"] * 9, 300, symbols=["\n"])
    line = "  c\t b  漢ü "
    ids = exact.encode(line)
    assert exact.decode(ids) == line
    assert b"".join(map(exact.spell, ids)).decode() == line
    assert exact.encode_lines([line, ""]) == [ids, []]
    assert exact.decode([0, *ids]) == line  # 0 is unknown, the only special id
    assert exact.decode([exact.id_of("\n")]) == "\n"
    assert Subwords(exact.to_bytes()) == exact


def test_a_piece_that_the_model_lacks_is_named():
    with pytest.raises(DataError, match=r"no piece '\\n'; train it with this symbol"):
        Subwords.train(TEXT, 330).id_of("\n")
