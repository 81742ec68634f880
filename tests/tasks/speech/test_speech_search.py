"""From scores of units to words."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.audio.alphabet import BLANK, Alphabet
from recurra.data.audio.timed_words import Segment
from recurra.errors import ParameterError
from recurra.kernels.native import extension
from recurra.models.decoding import CTCGreedyStream
from recurra.tasks.language import LanguageModel
from recurra.tasks.speech.recognizer import Search
from recurra.tasks.speech.transcription import CTCDecoder, Spelling, pieces_of

needs_extension = pytest.mark.skipif(not extension.is_installed(), reason="a beam needs the C++ extension")
CHARACTERS = Alphabet("characters", [BLANK, " ", "a", "b"])
SPELLING = Spelling(CHARACTERS, 0.1)


def log_probs(*units: int, size: int = 4) -> np.ndarray:
    """The unit at each step has 0.7, the others share the rest."""
    values = np.full((len(units), size), 0.3 / (size - 1))
    values[np.arange(len(units)), units] = 0.7
    return np.log(values)


def segment_of(search: CTCGreedyStream, alphabet: Alphabet) -> Segment:
    return Spelling(alphabet, 0.1).segment(search.emissions)


def test_equal_units_count_once_unless_a_blank_is_between() -> None:
    search = CTCGreedyStream()
    search.accept(log_probs(0, 2, 2, 0, 2, 1, 3, 0))
    assert [(one.token, one.start, one.end) for one in search.emissions] == [(2, 1, 3), (2, 4, 5), (1, 5, 6), (3, 6, 7)]
    segment = segment_of(search, CHARACTERS)
    assert [(word.text, round(word.begin, 3), round(word.end, 3)) for word in segment.words] == [
        ("aa", 0.1, 0.5),
        ("b", 0.6, 0.7),
    ]
    assert segment.words[0].confidence == pytest.approx(0.7)
    assert search.blank_steps == 1


@given(units=st.lists(st.integers(0, 3), max_size=20), cut=st.integers(0, 20))
def test_chunks_give_the_same_units(units: list[int], cut: int) -> None:
    whole, parts = CTCGreedyStream(), CTCGreedyStream()
    values = log_probs(*units)
    whole.accept(values)
    parts.accept(values[:cut])
    parts.accept(values[cut:])
    assert parts.emissions == whole.emissions


def test_words_and_spaces_alone() -> None:
    alphabet = Alphabet("words", [BLANK, "yes", "no"])
    search = CTCGreedyStream()
    search.accept(log_probs(1, 0, 2, 2, size=3))
    assert segment_of(search, alphabet).text == "yes no"
    spaces = CTCGreedyStream()
    spaces.accept(log_probs(1, 0, 1))
    assert segment_of(spaces, CHARACTERS).words == ()


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


def write_model(path: Path) -> Path:
    """A unigram model that has "ab" much more often than "ba"."""
    path.write_text(
        "\\data\\\nngram 1=5\n\n\\1-grams:\n-99\t<s>\n-1\t</s>\n-0.1\tab\n-4\tba\n-4\t<unk>\n\n\\end\\\n",
        encoding="utf-8",
    )
    return path


@needs_extension
def test_a_beam_equals_the_best_units_where_these_are_probable() -> None:
    values = log_probs(0, 2, 2, 0, 3, 1, 3, 0)
    beam = CTCDecoder(SPELLING, Search(beam_size=20))([values])[0][0]
    greedy = CTCDecoder(SPELLING)([values])[0][0]
    assert beam.text == greedy.text == "ab b"
    for one, other in zip(beam.words, greedy.words, strict=True):
        assert (one.begin, one.end, one.confidence) == pytest.approx((other.begin, other.end, other.confidence))


@needs_extension
def test_a_language_model_and_hot_words_change_what_is_written(tmp_path: Path) -> None:
    # The second letter may be either, a little more likely "b" for "bb", which the model does not have.
    values = np.log(np.array([[0.02, 0.01, 0.5, 0.47], [0.9, 0.02, 0.04, 0.04], [0.02, 0.01, 0.5, 0.47]]))
    values = values.astype(np.float32)
    assert CTCDecoder(SPELLING)([values])[0][0].text == "aa"
    model = str(write_model(tmp_path / "words.arpa"))
    assert CTCDecoder(SPELLING, Search(lm=model, lm_weight=1.0, closed=True))([values])[0][0].text == "ab"
    assert CTCDecoder(SPELLING, Search(hot_words=("ba",)))([values])[0][0].text == "ba"


@needs_extension
def test_a_recurrent_model_and_a_lexicon_change_what_is_written(tmp_path: Path) -> None:
    values = np.log(np.array([[0.02, 0.01, 0.5, 0.47], [0.9, 0.02, 0.04, 0.04], [0.02, 0.01, 0.5, 0.47]]))
    values = values.astype(np.float32)
    texts = tmp_path / "texts.txt"
    texts.write_text("ab\n" * 120)
    for tokens in ("characters", "words"):
        run = tmp_path / tokens
        model = LanguageModel(
            tokens=tokens, hidden_size=16, batch_size=4, truncation_length=6, max_steps=20, learning_rate=0.05
        )
        model.fit(texts, folder=run, progress=False)
        best = CTCDecoder(SPELLING, Search(lm=str(run), lm_weight=1.0, n_best=3))([values])[0]
        assert best[0].text == "ab"
        assert len({one.text for one in best}) == 3
    (tmp_path / "words.txt").write_text("BA  b a\nba(2) b ah\n")
    assert CTCDecoder(SPELLING, Search(lexicon=str(tmp_path / "words.txt")))([values])[0][0].text == "ba"
    with pytest.raises(ParameterError, match="lexicon"):
        Search(lm=str(tmp_path / "words"), closed=True)
    with pytest.raises(ParameterError, match="n_best"):
        Search(n_best=3, beam_size=2)


@needs_extension
def test_a_beam_over_whole_words_has_spaces_between_them() -> None:
    alphabet = Alphabet("words", [BLANK, "yes", "no"])
    segment = CTCDecoder(Spelling(alphabet, 0.08), Search(beam_size=5))([log_probs(1, 0, 2, 0, 2, size=3)])[0][0]
    assert segment.text == "yes no no"


def test_a_search_that_cannot_be_is_refused() -> None:
    with pytest.raises(ParameterError, match="closed"):
        Search(closed=True)
    with pytest.raises(ParameterError, match="beam_size"):
        Search(beam_size=1, hot_words=("ab",))
    with pytest.raises(ParameterError, match=r"hot_words.*none of them empty"):
        Search(hot_words=("ab", " "))
