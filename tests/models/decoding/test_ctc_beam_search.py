"""CTC prefix beam search against the enumeration of every path."""

import math
from collections.abc import Callable

import pytest
import torch
from enumeration_of_paths import best_paths, collapse, text_log_probs
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from recurra.data.text.kneser_ney import estimate_ngrams
from recurra.data.text.ngram_model import NgramModel
from recurra.errors import ParameterError, ShapeError
from recurra.models.decoding import CTCBeamSearch

TOKENS = ["-", "a", "b", " "]
WORDS = estimate_ngrams([s.split() for s in ("a b ab", "ab ab a", "b a", "ba a b", "b")], 3)
SPELLED = estimate_ngrams([tuple(s) for s in ("ab a", "abba", "b a b")], 3)
EVERYTHING = {"beam_size": 10_000, "beam_threshold": math.inf, "token_threshold": math.inf}


def frames(seed: int, steps: int, symbols: int = len(TOKENS), scale: float = 1.5) -> Tensor:
    return (scale * torch.randn(steps, symbols, generator=torch.Generator().manual_seed(seed))).log_softmax(1)


def spelled(labels: tuple[int, ...], names: list[str] = TOKENS) -> str:
    return "".join(names[one] for one in labels)


def check_exhaustive(search: CTCBeamSearch, log_probs: Tensor, extra: Callable[[str], float], **call: object) -> None:
    """Every labelling that is possible, in the order of its score; extra is what is fused with a text."""
    texts = text_log_probs(log_probs, 0)
    expected = {labels: score + extra(spelled(labels)) for labels, score in texts.items()}
    expected = {labels: score for labels, score in expected.items() if score > -math.inf}
    found = search(log_probs, 10_000, **call)  # type: ignore[arg-type]
    assert {tuple(t.token for t in one.tokens) for one in found} == set(expected)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    for one in found:
        labels = tuple(t.token for t in one.tokens)
        assert one.score == pytest.approx(expected[labels], abs=2e-5)
        assert one.log_prob == pytest.approx(texts[labels], abs=2e-5)
        assert one.text == " ".join(spelled(labels).split())


@settings(max_examples=8)
@given(seed=st.integers(0, 10_000), steps=st.integers(1, 5))
def test_without_a_model_it_is_the_sum_over_paths(seed: int, steps: int) -> None:
    check_exhaustive(CTCBeamSearch(TOKENS, **EVERYTHING), frames(seed, steps), lambda text: 0)


def word_score(model: NgramModel, text: str, weight: float, bonus: float) -> float:
    words = text.split()
    return weight * sum(model.score(words)) + bonus * len(words)


@settings(max_examples=5)
@given(seed=st.integers(0, 10_000), weight=st.sampled_from([0.0, 0.7, 2.0]), bonus=st.sampled_from([0.0, -1.0, 1.5]))
def test_with_a_model_of_words(seed: int, weight: float, bonus: float) -> None:
    search = CTCBeamSearch(TOKENS, language_model=WORDS, weight=weight, bonus=bonus, **EVERYTHING)
    check_exhaustive(search, frames(seed, 5), lambda text: word_score(WORDS, text, weight, bonus))


def test_a_model_without_a_word_for_unknown_ones() -> None:
    kept = [index for index, word in enumerate(WORDS.words) if word != "<unk>"]
    table = WORDS.tables[0]
    first = type(table)(table.words[: len(kept)], table.log10_probs[kept], table.log10_backoffs[kept])
    closed = NgramModel(tuple(WORDS.words[index] for index in kept), (first,))
    search = CTCBeamSearch(TOKENS, language_model=closed, weight=0.5, unknown_log_prob=-7, **EVERYTHING)

    def score(text: str) -> float:
        return 0.5 * sum(max(one, -7) for one in closed.score(text.split()))

    check_exhaustive(search, frames(1, 5), score)


@settings(max_examples=5)
@given(seed=st.integers(0, 10_000))
def test_with_a_model_of_tokens(seed: int) -> None:
    search = CTCBeamSearch(TOKENS, language_model=SPELLED, unit="token", weight=0.6, bonus=0.3, **EVERYTHING)
    check_exhaustive(search, frames(seed, 5), lambda text: 0.6 * sum(SPELLED.score(tuple(text))) + 0.3 * len(text))


@settings(max_examples=5)
@given(seed=st.integers(0, 10_000))
def test_with_a_lexicon(seed: int) -> None:
    lexicon = {"a", "ab", "bb"}
    search = CTCBeamSearch(TOKENS, lexicon=lexicon, language_model=WORDS, weight=0.5, **EVERYTHING)

    def score(text: str) -> float:
        return word_score(WORDS, text, 0.5, 0) if set(text.split()) <= lexicon else -math.inf

    check_exhaustive(search, frames(seed, 5), score)


@settings(max_examples=5)
@given(seed=st.integers(0, 10_000))
def test_hot_words(seed: int) -> None:
    """Phrases that contain each other and overlap: each counts wherever it stands as whole words."""
    hot = {"a": 0.5, "a b": 2.0, "b a": 1.25, "ab": 3.0, "b": -1.0}

    def score(text: str) -> float:
        padded = f" {' '.join(text.split())} "
        return sum(
            weight * sum(padded.startswith(f" {phrase} ", at) for at in range(len(padded)))
            for phrase, weight in hot.items()
        )

    check_exhaustive(CTCBeamSearch(TOKENS, **EVERYTHING), frames(seed, 5), score, hot_words=hot)


def test_words_that_begin_with_a_mark() -> None:
    names = ["-", "▁a", "b", "▁"]
    log_probs = frames(4, 5)
    texts = text_log_probs(log_probs, 0)
    search = CTCBeamSearch(names, language_model=WORDS, weight=0.7, bonus=0.2, **EVERYTHING)
    found = search(log_probs, 10_000, hot_words={"a": 0.5, "ab a": 1})
    assert len(found) == len(texts)
    for one in found:
        text = spelled(tuple(t.token for t in one.tokens), [name.replace("▁", " ") for name in names])
        padded = f" {' '.join(text.split())} "
        hot = sum(0.5 * padded.startswith(" a ", at) + padded.startswith(" ab a ", at) for at in range(len(padded)))
        expected = texts[tuple(t.token for t in one.tokens)] + word_score(WORDS, text, 0.7, 0.2) + hot
        assert one.score == pytest.approx(expected, abs=2e-5)
        assert [word.text for word in one.words] == text.split()


@settings(max_examples=5)
@given(seed=st.integers(0, 10_000))
def test_times_are_those_of_the_best_path(seed: int) -> None:
    log_probs = frames(seed, 5)
    for one in CTCBeamSearch(TOKENS, **EVERYTHING)(log_probs, 8):
        labels = tuple(t.token for t in one.tokens)
        _, paths = best_paths(log_probs, labels, 0)
        read = [-1] * 5
        for t in one.tokens:
            read[t.start : t.end] = [t.token] * (t.end - t.start)
            span = log_probs[t.start : t.end, t.token]
            assert t.log_prob == pytest.approx(float(span.max()))
            assert t.peak == t.start + int(span.argmax())
        assert tuple(max(symbol, 0) for symbol in read) in paths
        assert collapse(tuple(max(symbol, 0) for symbol in read), 0) == labels


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_any_chunks_give_the_same_hypotheses(size: int) -> None:
    log_probs = frames(7, 60)
    search = CTCBeamSearch(TOKENS, language_model=WORDS, beam_size=8, lexicon={"a", "b", "ab", "ba"})
    hot = {"ab a": 1.0}
    stream = search.stream(hot)
    agreed, before = 0, ()
    for chunk in log_probs.split(size):
        stream.advance(chunk)
        best = tuple(t.token for t in stream.best()[0].tokens)
        # What all agree on stays, and more is agreed on.
        assert best[:agreed] == before
        assert stream.agreed >= agreed
        agreed, before = stream.agreed, best[: stream.agreed]
    assert stream.finish(8) == search(log_probs, 8, hot)
    assert agreed > 0


def test_a_narrow_beam_finds_less() -> None:
    log_probs = frames(9, 40, scale=0.5)
    scores = [CTCBeamSearch(TOKENS, beam_size=size)(log_probs)[0].score for size in (1, 4, 64)]
    assert scores == sorted(scores)
    assert scores[0] < scores[2]
    assert len(CTCBeamSearch(TOKENS, beam_size=4)(log_probs, 100)) == 4
    assert len(CTCBeamSearch(TOKENS, beam_threshold=0.5)(log_probs, 100)) < 64


def test_thousands_of_frames() -> None:
    """Prefixes are freed and made again; what is left agrees with the same search over the last frames' tokens."""
    log_probs = frames(11, 3000, scale=3)
    found = CTCBeamSearch(TOKENS, beam_size=16)(log_probs)[0]
    assert len(found.tokens) > 500
    assert all(a.end <= b.start for a, b in zip(found.tokens, found.tokens[1:], strict=False))
    greedy = collapse(tuple(log_probs.argmax(1).tolist()), 0)
    assert len(found.tokens) == pytest.approx(len(greedy), rel=0.2)


def test_nothing_to_read() -> None:
    search = CTCBeamSearch(TOKENS, language_model=WORDS)
    (found,) = search(torch.empty(0, 4))
    assert (found.text, found.tokens, found.log_prob) == ("", (), 0)
    impossible = torch.full((2, 4), -math.inf)
    assert search(impossible)[0].score == -math.inf
    assert CTCBeamSearch(TOKENS, lexicon=["ab"])(torch.tensor([[-9.0, 0.0, -9.0, -9.0]]), 5)[0].text == ""


def test_refusals() -> None:
    search = CTCBeamSearch(TOKENS)
    with pytest.raises(ShapeError, match=r"log_probs: .* V = 4, got \(3, 5\)"):
        search(torch.zeros(3, 5))
    with pytest.raises(ShapeError, match="log_probs: expected numbers"):
        search(torch.full((3, 4), math.nan))
    with pytest.raises(ParameterError, match=r"blank: .* 0 to V - 1 = 3, got 4"):
        CTCBeamSearch(TOKENS, blank=4)
    with pytest.raises(ParameterError, match=r"unit: expected word or token, got 'character'"):
        CTCBeamSearch(TOKENS, unit="character")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match=r"weight: .* got nan"):
        CTCBeamSearch(TOKENS, weight=math.nan)
    with pytest.raises(ParameterError, match=r"beam_threshold: .* above 0, got 0"):
        CTCBeamSearch(TOKENS, beam_threshold=0)
    with pytest.raises(ParameterError, match=r"lexicon: expected words"):
        CTCBeamSearch(TOKENS, lexicon=[""])
    with pytest.raises(ParameterError, match=r"hot_words: .* got {'': 1}"):
        search.stream({" ": 1})
    with pytest.raises(ParameterError, match=r"language_model: expected a model over these tokens"):
        CTCBeamSearch(["-", "x"], language_model=SPELLED, unit="token")
    with pytest.raises(ParameterError, match=r"n_best: .* at least 1, got 0"):
        search(torch.zeros(3, 4), 0)
