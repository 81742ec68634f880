"""How long a training is: what was asked for, or what the data ask for."""

from dataclasses import dataclass

import pytest

import recurra
from recurra.errors import ParameterError
from recurra.task.budget import check_budget, describe_steps, steps_of, with_budget
from recurra.tasks.tag import Tagger


@dataclass
class Asked:
    max_steps: int = 0
    epochs: float = 0.0
    quick: bool = False
    thorough: bool = False


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (Asked(), 1000),
        (Asked(quick=True), 250),
        (Asked(thorough=True), 4000),
        (Asked(max_steps=7), 7),
        (Asked(epochs=2), 60),
        (Asked(epochs=0.01), 1),
    ],
)
def test_steps(asked: Asked, expected: int) -> None:
    assert steps_of(asked, standard=1000, steps_per_epoch=30) == expected


def test_epochs_of_data_without_end_are_refused() -> None:
    with pytest.raises(ParameterError, match="epochs"):
        steps_of(Asked(epochs=2), standard=1000, steps_per_epoch=0)


@pytest.mark.parametrize("asked", [Asked(max_steps=5, epochs=1), Asked(quick=True, thorough=True)])
def test_two_answers_are_refused(asked: Asked) -> None:
    with pytest.raises(ParameterError, match=r"expected (0|False) with "):
        check_budget(asked)


def test_a_new_answer_takes_the_place_of_the_stored_one() -> None:
    stored = {"max_steps": 0, "epochs": 0.0, "quick": True, "thorough": False, "hidden_size": 4}
    assert with_budget(stored, {"max_steps": 500}) == {"hidden_size": 4, "max_steps": 500}
    assert with_budget(stored, {"keep": 3}) == {**stored, "keep": 3}


def test_an_estimator_refuses_two_answers() -> None:
    with pytest.raises(ParameterError, match="thorough"):
        recurra.Tagger(max_steps=10, thorough=True)


def test_words() -> None:
    assert describe_steps(1032, 86) == "1,032 steps: 12.0 epochs of 86 steps"
    assert describe_steps(500, 1) == "500 steps: 500.0 epochs of 1 step"
    assert describe_steps(500, 0) == "500 steps"


def test_steps_follow_the_size_of_the_data() -> None:
    tagger = Tagger()
    assert tagger.standard_steps(10) == 1000
    assert tagger.standard_steps(200) == 2400
    assert tagger.standard_steps(10_000) == 5000


def test_words_are_read_in_short_segments_at_the_same_cost() -> None:
    words, characters = recurra.LanguageModel(tokens="words"), recurra.LanguageModel(tokens="characters")
    assert words.standard_steps(290) * 35 == pytest.approx(characters.standard_steps(290) * 100, rel=0.01)
    assert recurra.LanguageModel(truncation_length=50).standard_steps(1) == 5000


def test_a_translator_reads_as_many_subwords_whatever_its_batches() -> None:
    translator = recurra.Translator()
    assert translator.standard_steps(400) == translator.standard_steps(1) == 2000
    assert translator.standard_steps(3000) == 3000
    assert translator.standard_steps(100_000) == 8000
    assert recurra.Translator(batch_tokens=4800).standard_steps(100) == 500


def test_epochs_train_as_many_steps() -> None:
    sentences = [[("a", "A"), ("b", "B")]] * 12
    tagger = recurra.Tagger(epochs=2, batch_size=4, hidden_size=4, word_size=4, validate_every=100)
    tagger.fit(sentences, validation=sentences[:2])
    assert tagger.training_result is not None
    assert tagger.training_result.steps == 6
