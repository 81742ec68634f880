import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.text.caption_scores import CiderD, rouge_l

CAPTIONS = st.lists(st.sampled_from("abcd"), max_size=6)


def test_cider_d_by_hand() -> None:
    # Two images. "a" is in both, and weighs log(2 / 2) = 0; every other n-gram is in one, and weighs log 2.
    references = [[["a", "dog"]], [["a", "cat", "sleeps"]]]
    cider = CiderD(references)
    # Equal captions: the cosines of n = 1 and 2 are 1, and there are no longer n-grams.
    assert cider(["a", "dog"], references[0]) == pytest.approx(10 * 2 / 4)
    # n = 1: cat, sleeps (and a of weight 0) beside cat: 1 / sqrt(2); n = 2: a cat of (a cat, cat sleeps); a word less.
    expected = 10 * (1 / math.sqrt(2) + 1 / math.sqrt(2)) / 4 * math.exp(-1 / 72)
    assert cider(["a", "cat"], references[1]) == pytest.approx(expected)
    assert cider(["a"], references[1]) == 0
    assert cider([], references[1]) == 0
    assert cider.mean([["a", "dog"], []], references) == pytest.approx(2.5)


def test_cider_d_does_not_reward_repetition() -> None:
    references = [[["dog"]], [["cat"]], [["bird"]]]
    cider = CiderD(references)
    # Three times the word: clipped to one of the reference, over a norm of three; n = 1 alone, two words more.
    assert cider(["dog", "dog", "dog"], references[0]) == pytest.approx(10 / 4 / 3 * math.exp(-4 / 72))
    assert cider(["dog"], references[0]) == pytest.approx(10 / 4)


def test_cider_d_is_the_mean_over_references_and_knows_unseen_words() -> None:
    references = [[["a", "dog", "runs"], ["the", "puppy"]], [["a", "cat"]]]
    cider = CiderD(references)
    both = cider(["a", "dog", "runs"], references[0])
    assert both == pytest.approx((cider(["a", "dog", "runs"], references[0][:1])) / 2)
    # An unseen word weighs log(2 / 1), as one of a single image: it lengthens the vector.
    alone, with_unseen = cider(["dog"], [["dog"]]), cider(["dog", "zebra"], [["dog"]])
    assert with_unseen == pytest.approx(alone / math.sqrt(2) * math.exp(-1 / 72))


def test_rouge_l_by_hand() -> None:
    # "the dog runs": 3 of 4 words of the caption, 3 of 3 and 2 of 5 of the references.
    caption, references = (
        ["the", "brown", "dog", "runs"],
        [["the", "dog", "runs"], ["a", "dog", "that", "runs", "away"]],
    )
    precision, recall = 3 / 4, 1.0
    assert rouge_l(caption, references) == pytest.approx(2.44 * precision * recall / (recall + 1.44 * precision))
    assert rouge_l(["a", "b"], [["a", "b"]]) == pytest.approx(1)
    assert rouge_l(["a", "b"], [["b", "a"]]) == pytest.approx(0.5)
    assert rouge_l([], references) == rouge_l(caption, [[]]) == rouge_l(["x"], references) == 0


@given(CAPTIONS, st.lists(CAPTIONS, min_size=1, max_size=3))
def test_scores_stay_in_their_range_and_agree_with_themselves(caption: list[str], references: list[list[str]]) -> None:
    assert 0 <= rouge_l(caption, references) <= 1 + 1e-12
    assert (rouge_l(caption, [caption]) > 0.999) == bool(caption)
    cider = CiderD([references, [list("dcba")]])
    assert 0 <= cider(caption, references) <= 10 + 1e-9
