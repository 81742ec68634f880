import logging
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import recurra
from recurra.errors import ParameterError, RunError
from recurra.task.transfer import transfer_weights, unfreezing
from recurra.tasks.classify import Classifier
from recurra.tasks.classify.training import classification_loss
from recurra.tasks.language import LanguageModel
from recurra.training import TrainingInterruptedError, load_last

TEXT = "a good film is a joy and a bad film is no joy at all\n" * 20
COMMON: dict[str, Any] = {"max_steps": 1, "learning_rate": 1e-9, "averaging": 0.0, "device": "cpu"}


@pytest.fixture(scope="module")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "lm"
    options = {**COMMON, "tokens": "words", "embedding_size": 6, "hidden_size": 5, "cell": "lstm"}
    LanguageModel(**options).fit({"train": TEXT, "validation": TEXT[:200]}, folder=folder, progress=False)
    return folder


def classifier(start_from: Path | None, folder: Path | None = None, resume: bool = False, **options: Any) -> Classifier:
    given = {**COMMON, "word_size": 6, "hidden_size": 5, "batch_size": 2, "validation_fraction": 0.0, **options}
    texts, labels = ["a good joy", "a bad thing", "no joy", "good thing"], ["+", "-", "-", "+"]
    estimator = Classifier(**given)
    return estimator.fit(texts, labels, folder=folder, resume=resume, start_from=start_from, progress=False)


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
    assert ("8 of 14 columns are new" in caplog.text) == evidence


def test_nothing_that_fits_is_refused(language_model: Path) -> None:
    with pytest.raises(RunError, match=r"no weights fit this classifier: .*\(20, 6\) there, \(28, 16\) here"):
        classifier(language_model, word_size=8, hidden_size=7, tokenization="characters", cell="lstm")


def test_a_language_model_of_characters_names_the_command_of_one_of_words(tmp_path: Path) -> None:
    options = {**COMMON, "embedding_size": 4, "hidden_size": 3}
    LanguageModel(**options).fit({"train": TEXT, "validation": TEXT[:200]}, folder=tmp_path, progress=False)
    with pytest.raises(RunError, match=r"is a language model of characters; one of words is needed") as error:
        classifier(tmp_path)
    command = "recurra train language --tokens words --cell lstm --embedding-size 6 --hidden-size 5 --num-layers 1"
    assert command in str(error.value)
    assert "there" not in str(error.value)


def test_columns_of_the_same_parameter_are_not_cut_to_fit() -> None:
    """Within one task the features of a run with more of them may be others."""
    own = torch.nn.Linear(3, 2)
    found = transfer_weights(own, {"weight": torch.ones(2, 2), "bias": torch.ones(2)}, {}, {})
    assert found.taken == ("bias",)
    assert found.left == ("weight ((2, 2) there, (2, 3) here)",)
    np.testing.assert_array_equal(own.bias.detach(), np.ones(2))


def parts(layers: int = 2) -> torch.nn.ModuleDict:
    names = {"embedding": torch.nn.Embedding(3, 2), "recurrent": recurra.LSTM(2, 2, layers, bidirectional=True)}
    return torch.nn.ModuleDict({**names, "scores": torch.nn.Linear(4, 2)})


def test_layers_are_freed_from_the_last_to_the_first() -> None:
    network = parts()
    taken = [name for name, _ in network.named_parameters() if not name.startswith("scores")]
    frozen = unfreezing(network, taken, 10)
    assert frozen.keys() == set(taken)
    assert {name: steps for name, steps in frozen.items() if "_l1" in name} == dict.fromkeys(
        [name for name in taken if "_l1" in name], 10
    )
    assert {steps for name, steps in frozen.items() if "_l0" in name} == {20}
    assert frozen["embedding.weight"] == 30


def test_the_last_layer_trains_at_once_if_nothing_is_new() -> None:
    network = parts(1)
    frozen = unfreezing(network, [name for name, _ in network.named_parameters()], 5)
    assert not any(name.startswith("scores") for name in frozen)
    assert (frozen["recurrent.weight_hh_l0_reverse"], frozen["embedding.weight"]) == (5, 10)


def test_a_resumed_run_frees_the_same_layers(
    language_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"learning_rate": 0.1, "unfreeze_steps": 3, "max_steps": 8}
    straight = classifier(language_model, **options).fitted.network.state_dict()
    before = LanguageModel.load(language_model).fitted.network.state_dict()
    steps = []

    def interrupting(*arguments: Any) -> Any:
        steps.append(1)
        if len(steps) == 4:
            os.kill(os.getpid(), signal.SIGINT)
        return classification_loss(*arguments)

    monkeypatch.setattr("recurra.tasks.classify.training.classification_loss", interrupting)
    with pytest.raises(TrainingInterruptedError):
        classifier(language_model, **options, folder=tmp_path / "run")
    stopped = load_last(tmp_path / "run").group("model")
    # Of the two layers taken over, one was freed after 3 steps, and the other is to be freed after 6.
    assert not torch.equal(stopped["classifier.recurrent.weight_hh_l0"], before["recurrent.weight_hh_l0"])
    first = classifier(language_model, max_steps=1, learning_rate=1e-30).fitted.network.state_dict()
    assert torch.equal(stopped["embedding.words.weight"], first["embedding.words.weight"])
    resumed = classifier(None, **options, folder=tmp_path / "run", resume=True).fitted.network.state_dict()
    for name, tensor in straight.items():
        assert torch.equal(resumed[name], tensor), name
    assert not torch.equal(straight["embedding.words.weight"], stopped["embedding.words.weight"])


def test_an_option_without_use_is_refused(language_model: Path) -> None:
    with pytest.raises(ParameterError, match=r"unfreeze_steps: expected at most 1, .* 2 layers .*got 2"):
        classifier(language_model, unfreeze_steps=2, max_steps=4)
    with pytest.raises(ParameterError, match="unfreeze_steps: expected its default without a run to start from, got 2"):
        classifier(None, unfreeze_steps=2)
