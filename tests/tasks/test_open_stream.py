"""Trained tasks as streams: what they answer is what they say of the whole."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import recurra
from recurra.errors import DataError, StreamError
from recurra.kernels.native import extension

pytestmark = pytest.mark.skipif(not extension.is_installed(), reason="a stream needs the C++ extension")

WORDS = [("the", "DET"), ("cat", "NOUN"), ("dog", "NOUN"), ("runs", "VERB"), ("sees", "VERB"), ("a", "DET")]


@pytest.fixture(scope="module")
def language(tmp_path_factory: pytest.TempPathFactory) -> recurra.LanguageModel:
    choose = random.Random(0)
    text = "".join(choose.choice(["the cat sat on the mat. ", "a dog ran home.\n"]) for _ in range(300))
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text(text, encoding="utf-8")
    return recurra.LanguageModel(max_steps=10, hidden_size=24, seed=1).fit(str(path))


def tagger(**options: Any) -> recurra.Tagger:
    choose = random.Random(0)
    sentences = [[choose.choice(WORDS) for _ in range(choose.randint(2, 6))] for _ in range(40)]
    return recurra.Tagger(max_steps=5, hidden_size=8, word_size=4, **options).fit(sentences, validation=sentences[:9])


def test_language(language: recurra.LanguageModel) -> None:
    stream = language.open_stream()
    state = stream.new_state()
    surprise = [one.surprise for one in language.surprise("the dog sat")]
    [first] = stream.step(["the d"], [state])
    [second] = stream.step(["og sat"], [state])
    assert first["surprise"] == pytest.approx(surprise[1:5], abs=1e-4)
    assert second["surprise"] == pytest.approx(surprise[6:], abs=1e-4)
    likeliest = max(first["next"], key=lambda one: one["probability"])
    assert first["next"][0] == likeliest
    assert sum(one["probability"] for one in first["next"]) < 1.0001


def test_streams_together_are_as_alone(language: recurra.LanguageModel) -> None:
    stream = language.open_stream()
    texts = ["the ", "a dog", "ran ", "home"]
    alone = [stream.new_state() for _ in texts]
    expected = [stream.step([text], [state])[0] for text, state in zip(texts, alone, strict=True)]
    together = [stream.new_state() for _ in texts]
    for one, other in zip(stream.step(texts, together), expected, strict=True):
        assert one["surprise"] == pytest.approx(other["surprise"], abs=1e-5)
    for one, other in zip(together, alone, strict=True):
        assert np.abs(one.values - other.values).max() < 1e-6


@pytest.mark.parametrize("item", ["", 3, None, ["a"], "ü"])
def test_items_that_cannot_be_read_leave_the_state(language: recurra.LanguageModel, item: Any) -> None:
    stream = language.open_stream()
    state = stream.new_state()
    before = state.copy()
    with pytest.raises(DataError):
        stream.step([item], [state])
    assert state == before


@pytest.mark.parametrize("output", ["crf", "softmax"])
def test_tags(output: Any) -> None:
    model = tagger(bidirectional=False, output=output)
    stream = model.open_stream()
    state = stream.new_state()
    words = ["the", "cat", "sees", "unheard-of", "dog"]
    answers = [stream.step([word], [state])[0] for word in words]
    # The last word has the whole sentence behind it; a CRF knows of its end only in `predict`.
    whole = model.predict([words])[0]
    assert answers[-1]["confidence"] == pytest.approx(whole.confidence[-1], abs=0.02 if output == "crf" else 1e-5)
    if output == "softmax":
        assert [answer["tag"] for answer in answers] == list(whole.tags)
    with pytest.raises(DataError, match="item: expected a word, without white space"):
        stream.step(["two words"], [state])


def test_a_tagger_that_reads_backward_says_what_to_do() -> None:
    with pytest.raises(StreamError, match="Train with bidirectional=False"):
        tagger().open_stream()


def test_a_run_streams_as_the_model_that_wrote_it(language: recurra.LanguageModel, tmp_path: Path) -> None:
    language.save(tmp_path / "run")
    stream, again = language.open_stream(), recurra.load(tmp_path / "run").open_stream()
    state = stream.new_state()
    stream.step(["the c"], [state])
    other = again.read_state(state.to_bytes())
    assert again.step(["at"], [other]) == stream.step(["at"], [state])
