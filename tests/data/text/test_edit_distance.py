"""Edit distance against jiwer, and its alignments against their definition."""

import math

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.text.edit_distance import ErrorCounts, align, character_errors, count_errors, word_errors

words = st.lists(st.sampled_from(["a", "b", "ab", "ba"]), min_size=1, max_size=9).map(" ".join)


@given(reference=words, hypothesis=words)
def test_rates_are_those_of_jiwer(reference: str, hypothesis: str) -> None:
    found, expected = word_errors(reference, hypothesis), jiwer.process_words(reference, hypothesis)
    assert found.rate == pytest.approx(expected.wer)
    # Of the alignments with the fewest errors jiwer may take another: their insertions and deletions differ alike.
    assert found.insertions - found.deletions == expected.insertions - expected.deletions
    assert found.errors == expected.substitutions + expected.insertions + expected.deletions
    assert character_errors(reference, hypothesis).rate == pytest.approx(jiwer.cer(reference, hypothesis))


@given(references=st.lists(words, min_size=1, max_size=4), hypotheses=st.lists(words, min_size=4, max_size=4))
def test_counts_of_several_texts_add_up(references: list[str], hypotheses: list[str]) -> None:
    pairs = list(zip(references, hypotheses, strict=False))
    total = sum((word_errors(*pair) for pair in pairs), ErrorCounts())
    assert total.rate == pytest.approx(jiwer.wer([one for one, _ in pairs], [other for _, other in pairs]))


@given(reference=st.lists(st.integers(0, 3), max_size=8), hypothesis=st.lists(st.integers(0, 3), max_size=8))
def test_an_alignment_holds_both(reference: list[int], hypothesis: list[int]) -> None:
    pairs = align(reference, hypothesis)
    assert [one for one, _ in pairs if one is not None] == reference
    assert [other for _, other in pairs if other is not None] == hypothesis
    assert (None, None) not in pairs
    assert sum(one != other for one, other in pairs) == count_errors(reference, hypothesis).errors
    assert count_errors(reference, hypothesis).length == len(reference)


def test_by_hand() -> None:
    assert align("kitten", "sitting") == [
        ("k", "s"),
        ("i", "i"),
        ("t", "t"),
        ("t", "t"),
        ("e", "i"),
        ("n", "n"),
        (None, "g"),
    ]
    assert word_errors("the cat  sat", "the cat sat\n") == ErrorCounts(hits=3)
    assert word_errors("one two three", "one three") == ErrorCounts(hits=2, deletions=1)
    assert word_errors("one", "one two three").rate == 2
    assert word_errors("", "").rate == 0
    assert word_errors("", "word").rate == math.inf
