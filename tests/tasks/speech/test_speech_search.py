"""From scores of units to words, and how errors are counted."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.audio.alphabet import BLANK, Alphabet
from recurra.tasks.speech.results import Errors, character_errors, word_errors
from recurra.tasks.speech.search import GreedySearch, words_of
from recurra.tasks.speech.transcription import pieces_of

CHARACTERS = Alphabet("characters", [BLANK, " ", "a", "b"])


def log_probs(*units: int, size: int = 4) -> np.ndarray:
    """The unit at each step has 0.7, the others share the rest."""
    values = np.full((len(units), size), 0.3 / (size - 1))
    values[np.arange(len(units)), units] = 0.7
    return np.log(values)


def test_equal_units_count_once_unless_a_blank_is_between() -> None:
    search = GreedySearch()
    search.accept(log_probs(0, 2, 2, 0, 2, 1, 3, 0))
    assert [(one.unit, one.first, one.last) for one in search.emissions] == [(2, 1, 2), (2, 4, 4), (1, 5, 5), (3, 6, 6)]
    segment = words_of(search.emissions, CHARACTERS, 0.1)
    assert [(word.text, round(word.begin, 3), round(word.end, 3)) for word in segment.words] == [
        ("aa", 0.1, 0.5),
        ("b", 0.6, 0.7),
    ]
    assert segment.words[0].confidence == pytest.approx(0.7)
    assert search.blank_steps == 1


@given(units=st.lists(st.integers(0, 3), max_size=20), cut=st.integers(0, 20))
def test_chunks_give_the_same_units(units: list[int], cut: int) -> None:
    whole, parts = GreedySearch(), GreedySearch()
    values = log_probs(*units)
    whole.accept(values)
    parts.accept(values[:cut])
    parts.accept(values[cut:])
    assert parts.emissions == whole.emissions


def test_words_and_spaces_alone() -> None:
    alphabet = Alphabet("words", [BLANK, "yes", "no"])
    search = GreedySearch()
    search.accept(log_probs(1, 0, 2, 2, size=3))
    assert words_of(search.emissions, alphabet, 0.08).text == "yes no"
    spaces = GreedySearch()
    spaces.accept(log_probs(1, 0, 1))
    assert words_of(spaces.emissions, CHARACTERS, 0.1).words == ()


@given(st.lists(st.sampled_from("abc"), max_size=7), st.lists(st.sampled_from("abc"), max_size=7))
def test_errors_equal_those_of_jiwer(reference: list[str], hypothesis: list[str]) -> None:
    jiwer = pytest.importorskip("jiwer")
    errors = word_errors(" ".join(reference), " ".join(hypothesis))
    if not reference:
        assert errors == Errors(0, len(hypothesis), 0, 0)
        return
    expected = jiwer.process_words(" ".join(reference), " ".join(hypothesis))
    assert errors.total == expected.substitutions + expected.insertions + expected.deletions
    assert errors.rate == pytest.approx(expected.wer)
    assert errors.insertions - errors.deletions == len(hypothesis) - len(reference)


def test_errors_by_hand() -> None:
    assert word_errors("one two three", "one too three four") == Errors(1, 1, 0, 3)
    assert character_errors("abc", "ac") == Errors(0, 0, 1, 3)
    assert word_errors("a b", "a b").rate == 0


def test_a_long_recording_is_cut_at_its_quietest() -> None:
    features = np.zeros((250, 2), np.float32)
    features[70:90] = -5
    pieces = pieces_of(features, 100)
    assert pieces[0] == (0, 80)
    assert pieces[-1][1] == 250
    assert all(end == begin for (_, end), (begin, _) in pairwise(pieces))
    assert all(0 < end - begin <= 100 for begin, end in pieces)
    assert pieces_of(features[:100], 100) == [(0, 100)]
    assert pieces_of(features[:0], 100) == [(0, 0)]
