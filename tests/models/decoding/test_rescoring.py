"""Texts of a beam, rescored by an n-gram model and hot words."""

import numpy as np
import pytest

from recurra.data.text.ngram_model import NgramModel, NgramTable
from recurra.models.decoding import TimedHypothesis, rescored


def hypotheses(*texts: str) -> list[TimedHypothesis]:
    return [TimedHypothesis((), (), text, -float(k), -float(k)) for k, text in enumerate(texts)]


def unigrams(**log10: float) -> NgramModel:
    words = ("<s>", "</s>", *log10)
    table = NgramTable(
        np.arange(len(words), dtype=np.int32)[:, None], np.array([-99.0, 0.0, *log10.values()]), np.zeros(len(words))
    )
    return NgramModel(words, (table,))


def test_the_model_counts_by_its_weight() -> None:
    model = unigrams(ab=-0.1, ba=-2.0)
    best = rescored(hypotheses("ba", "ab"), model, weight=1.0)
    assert [one.text for one in best] == ["ab", "ba"]
    assert best[0].score == pytest.approx(-1 - 0.1 * np.log(10))
    assert [one.text for one in rescored(hypotheses("ba", "ab"), model, weight=0.1)] == ["ba", "ab"]


def test_words_that_the_model_has_not() -> None:
    model = unigrams(ab=-1.0)
    best = rescored(hypotheses("c", "ab"), model, weight=1.0)
    assert best[1].score == pytest.approx(-16)
    assert [one.text for one in rescored(hypotheses("c", "ab"), model, lexicon={"ab"})] == ["ab"]


def test_bonus_and_hot_words() -> None:
    assert [one.text for one in rescored(hypotheses("a", "a b"), bonus=1.5)] == ["a b", "a"]
    best = rescored(hypotheses("on", "off", "lights on lights on"), hot_words={"lights on": 1.5, "of": 9.0})
    assert [(one.text, one.score) for one in best] == [("lights on lights on", 1.0), ("on", 0.0), ("off", -1.0)]


def test_scores_of_texts_count_by_the_weight() -> None:
    best = rescored(
        hypotheses("a", "b"), text_scores=lambda texts: [-9.0 if text == "a" else 0.0 for text in texts], weight=0.5
    )
    assert [(one.text, one.score) for one in best] == [("b", -1.0), ("a", -4.5)]
