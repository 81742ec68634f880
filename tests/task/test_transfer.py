import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recurra.errors import RunError
from recurra.task.transfer import transfer_weights
from recurra.tasks.classify import Classifier
from recurra.tasks.language import LanguageModel

TEXT = "a good film is a joy and a bad film is no joy at all\n" * 20
COMMON: dict[str, Any] = {"max_steps": 1, "learning_rate": 1e-9, "averaging": 0.0, "device": "cpu"}


@pytest.fixture(scope="module")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "lm"
    options = {**COMMON, "tokens": "words", "embedding_size": 6, "hidden_size": 5, "cell": "lstm"}
    LanguageModel(**options).fit({"train": TEXT, "validation": TEXT[:200]}, folder=folder, progress=False)
    return folder


def classifier(folder: Path, **options: Any) -> Classifier:
    given = {**COMMON, "word_size": 6, "hidden_size": 5, "batch_size": 2, "validation_fraction": 0.0, **options}
    texts, labels = ["a good joy", "a bad thing", "no joy", "good thing"], ["+", "-", "-", "+"]
    return Classifier(**given).fit(texts, labels, start_from=folder, progress=False)


@pytest.mark.parametrize("evidence", [False, True])
def test_a_classifier_starts_from_a_language_model(
    language_model: Path, evidence: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "recurra"):
        tuned = classifier(language_model, evidence=evidence).fitted
    before = LanguageModel.load(language_model).fitted
    old, new = before.network.state_dict(), tuned.network.state_dict()
    torch.testing.assert_close(new["classifier.recurrent.weight_hh_l0"], old["recurrent.weight_hh_l0"])
    torch.testing.assert_close(new["classifier.recurrent.bias_ih_l0"], old["recurrent.bias_ih_l0"])
    torch.testing.assert_close(new["classifier.recurrent.weight_ih_l0"][:, :6], old["recurrent.weight_ih_l0"])
    rows = before.learned.rows()["embedding.weight"]
    words = tuned.learned.rows()["embedding.words.weight"]
    for word in ("good", "bad", "joy", "a", "no"):
        torch.testing.assert_close(
            new["embedding.words.weight"][words.index(word)], old["embedding.weight"][rows.index(word.encode())]
        )
    assert "embedding.words.weight (2 of " in caplog.text  # "thing" and the unknown word are new
    assert "classifier.recurrent.weight_hh_l0_reverse (the other run has none)" in caplog.text
    assert ("6 of 12 columns are new" in caplog.text) == evidence


def test_nothing_that_fits_is_refused(language_model: Path) -> None:
    with pytest.raises(RunError, match=r"no weights fit this classifier: .*\(20, 6\) there, \(28, 14\) here"):
        classifier(language_model, word_size=8, hidden_size=7, tokenization="characters", cell="lstm")


def test_columns_of_the_same_parameter_are_not_cut_to_fit() -> None:
    """Within one task the features of a run with more of them may be others."""
    own = torch.nn.Linear(3, 2)
    found = transfer_weights(own, {"weight": torch.ones(2, 2), "bias": torch.ones(2)}, {}, {})
    assert found.taken == ("bias",)
    assert found.left == ("weight ((2, 2) there, (2, 3) here)",)
    np.testing.assert_array_equal(own.bias.detach(), np.ones(2))
