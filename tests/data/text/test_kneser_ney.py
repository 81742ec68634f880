"""Estimated n-gram models: by hand, and as distributions."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.data.text.kneser_ney import estimate_ngrams
from recurra.data.text.ngram_model import BEGIN, END, NgramModel
from recurra.errors import DataError, ParameterError


def probabilities(model: NgramModel, context: list[str]) -> dict[str, float]:
    return {word: math.exp(model.log_prob(context, word)) for word in model.words if word != BEGIN}


def test_a_bigram_by_hand() -> None:
    model = estimate_ngrams([["a", "b"], ["a", "c"], ["a", "b"]], 2)
    # Bigrams: <s> a 3, a b 2, a c 1, b </s> 2, c </s> 1: two of 1, two of 2, so that the discount is 2 / 6.
    # Words that precede: a 1, b 1, c 1, </s> 2: three of 1, one of 2: 3 / 5.
    below = {"a": 1, "b": 1, "c": 1, END: 2, "<unk>": 0}
    unigram = {word: max(n - 3 / 5, 0) / 5 + 3 / 5 * 4 / 5 / 5 for word, n in below.items()}
    assert probabilities(model, []) == pytest.approx(unigram)
    after_a = {
        word: (max(n - 1 / 3, 0) + 1 / 3 * 2 * unigram[word]) / 3 for word, n in {"b": 2, "c": 1, END: 0}.items()
    }
    found = probabilities(model, ["a"])
    assert {word: found[word] for word in after_a} == pytest.approx(after_a)


texts = st.lists(st.lists(st.sampled_from("abcd"), max_size=6), min_size=1, max_size=8)


@settings(max_examples=40)
@given(sentences=texts, order=st.integers(1, 4))
def test_probabilities_sum_to_one_after_any_context(sentences: list[list[str]], order: int) -> None:
    model = estimate_ngrams(sentences, order, vocabulary=["e"])
    assert "e" in model.words
    for context in ([], [BEGIN], [BEGIN, "a"], ["a", "b"], ["d", "c", "b", "a"], ["e"], ["x", "a"]):
        assert sum(probabilities(model, context).values()) == pytest.approx(1)
    for sentence in sentences:
        assert math.isfinite(sum(model.score(sentence)))


def test_more_context_predicts_better() -> None:
    sentences = [list("abcabcabc"), list("bcabca"), list("cabcab")] * 5
    found = [estimate_ngrams(sentences, order).perplexity(sentences) for order in (1, 2, 3)]
    assert found == sorted(found, reverse=True)
    assert found[2] < 2 < found[0]


def test_refusals() -> None:
    with pytest.raises(ParameterError, match=r"order: .* at least 1, got 0"):
        estimate_ngrams([["a"]], 0)
    with pytest.raises(DataError, match="no sentences"):
        estimate_ngrams([])
    with pytest.raises(DataError, match="holds </s>"):
        estimate_ngrams([["a", "</s>"]])
