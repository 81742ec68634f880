from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made_sentences import columns, sentences
from recurra.errors import DataError, ParameterError
from recurra.inspection import Inspection
from recurra.tasks.tag import Tagger

SMALL: dict[str, Any] = {
    "hidden_size": 6, "word_size": 4, "character_size": 3, "character_hidden_size": 3, "max_steps": 10,
    "batch_size": 8, "validate_every": 5, "learning_rate": 0.03, "device": "cpu",
}  # fmt: skip

SENTENCES = sentences(12, seed=3)


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return Tagger(**SMALL).fit(sentences(40), progress=False)


@pytest.fixture(scope="module")
def found(tagger: Tagger) -> Inspection:
    """Of sentences without tags: the loss is that of the tags predicted."""
    return tagger.inspect([[(word, None) for word, _ in given] for given in SENTENCES], row=2, word=3)


def test_only_the_layers_that_read_words_are_seen_into(found: Inspection) -> None:
    assert [row.name for row in found.unrolled.rows] == ["recurrent forward", "recurrent reverse"]
    assert found.gradients.sequences == 12
    assert {gate.name for gate in found.gates} == {"recurrent forward", "recurrent reverse"}


def test_the_loss_is_of_one_word_and_lags_count_from_it(tagger: Tagger, found: Inspection) -> None:
    forward, reverse = found.gradients.whole()
    assert len(forward.norms) == 3
    assert len(reverse.norms) == 3  # the longest sentence has five words
    assert forward.norms[0] > 0
    certain = [tagged.confidence[2] for tagged in tagger.predict([[word for word, _ in given] for given in SENTENCES])]
    assert found.gradients.loss == pytest.approx(-np.log(certain).sum(), rel=1e-4)


def test_attributions_are_complete_and_padding_is_left_out(found: Inspection) -> None:
    drawn = SENTENCES[1]
    assert list(found.words.labels) == [word for word, _ in drawn]
    assert found.unrolled.steps == len(drawn)
    assert found.attribution is not None
    assert found.attribution.relative_residual < 0.01
    assert len(found.attribution.of(0)[0]) == len(drawn)
    assert found.attribution.values[0].shape[2] == 4 + 2 * 3
    assert found.forgetting is not None
    assert found.forgetting.lags.tolist() == [0, 1, 2, 3]
    assert np.allclose(found.forgetting.change[-1], 0, atol=1e-6)


def test_true_tags_are_learned_from(tagger: Tagger, found: Inspection) -> None:
    wrong = [[(word, "O") for word, _ in given] for given in SENTENCES]
    certain = tagger.inspect(wrong, row=2, word=3)
    assert certain.words.loss.startswith("-log p of the tag of word 3 (here O)")
    assert certain.gradients.loss != pytest.approx(found.gradients.loss) or "tagged O" in found.words.facts["looked at"]


def test_a_softmax_over_words_alone_without_spelling() -> None:
    options = {**SMALL, "output": "softmax", "characters": "none", "cell": "gru", "num_layers": 2}
    tagger = Tagger(**options).fit(sentences(20, entities=False), progress=False)
    found = tagger.inspect(sentences(3, entities=False), name="runs/x")
    assert len(found.unrolled.rows) == 4
    assert found.words.title == "Inspection of runs/x"
    assert "spelling" not in found.words.facts["inputs"]
    # Nothing but the word itself has a score that the loss reads.
    above = [edges.norms for edges in found.unrolled.edges if edges.upper is None]
    assert {int((norms > 0).sum()) for norms in above} == {1}


def test_files_with_tags_and_without(tagger: Tagger, tmp_path: Path) -> None:
    tagged, plain = tmp_path / "some.txt.conll", tmp_path / "plain.txt"
    tagged.write_text(columns(sentences(5, seed=1)))
    plain.write_text("Ann Bob sees Cyd\nZoe sees Ann today\n")
    assert tagger.inspect(tagged).words.facts["data"] == str(tagged)
    found = tagger.inspect(str(plain), row=2)
    assert list(found.words.labels) == ["Zoe", "sees", "Ann", "today"]
    assert found.gradients.sequences == 2


def test_what_cannot_be_looked_at(tagger: Tagger) -> None:
    with pytest.raises(ParameterError, match="row: expected 1 to 3, those of the data, got 4"):
        tagger.inspect(sentences(3), row=4)
    with pytest.raises(ParameterError, match=r"word: expected 1 to \d, those of the sentence, got 0"):
        tagger.inspect(sentences(3), word=0)
    with pytest.raises(DataError, match="expected sentences, got none"):
        tagger.inspect([])
