from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recurra.errors import DataError, ParameterError
from recurra.inspection import Inspection
from recurra.tasks.language import LanguageModel

TEXT = "Ein Männlein steht im Walde\nganz still und stumm,\nes hat von lauter Purpur\nein Mäntlein um.\n" * 12
TINY: dict[str, Any] = {"hidden_size": 8, "embedding_size": 4, "max_steps": 4, "truncation_length": 10, "batch_size": 4}


def _fit(**options: Any) -> LanguageModel:
    return LanguageModel(**{**TINY, "device": "cpu", **options}).fit({"train": TEXT, "validation": TEXT[5:205]})


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return _fit()


@pytest.fixture(scope="module")
def found(model: LanguageModel) -> Inspection:
    return model.inspect(text=TEXT[:66], name="runs/x")


def test_the_output_is_what_the_model_says_of_the_last_token(model: LanguageModel, found: Inspection) -> None:
    ids = model.fitted.learned.tokens.encode(TEXT[:66]).ids
    with torch.no_grad():
        features, _ = model.fitted.network(ids[:-1].unsqueeze(0))
        expected = float(model.fitted.network.log_probabilities(features[0, -1])[ids[-1]])
    assert found.attribution is not None
    assert found.attribution.output == pytest.approx([expected], abs=1e-5)
    assert found.gradients.loss == pytest.approx(-expected, abs=1e-5)


def test_attributions_are_complete_and_labelled(found: Inspection) -> None:
    assert found.attribution is not None
    assert found.attribution.missed(0) < 0.01
    assert found.attribution.values[0].shape == (1, 65, 4)
    assert "".join(found.words.labels) == TEXT[:65].replace(" ", "␣").replace("\n", "⏎")
    assert found.words.plotted == f"log-probability of {TEXT[65]}, which follows"
    assert found.words.facts["looked at"].startswith("1 stretch of 65 characters of the text")
    assert found.unrolled.steps == 65
    assert found.unrolled.rows[0].name == "recurrent"


def test_stretches_of_the_validation_text_and_the_one_drawn(model: LanguageModel) -> None:
    found = model.inspect()
    assert found.words.facts["looked at"].startswith("1 stretch of 100 characters of the validation text")
    found = model.inspect(text=TEXT, row=3)
    count = len(TEXT) // 101
    assert found.gradients.sequences == count
    assert found.unrolled.sequence == 2
    start = round(2 * (len(TEXT) - 101) / (count - 1))
    assert found.words.labels[:8] == [c.replace(" ", "␣").replace("\n", "⏎") for c in TEXT[start : start + 8]]


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        ({"tokens": "words", "cutoffs": (4, 9), "hidden_size": 16, "cell": "gru"}, ["Ein", "Männlein", "steht"]),
        ({"tokens": "bytes", "num_layers": 2, "tied": True}, ["E", "i", "n", "␣", "M", "·", "ä"]),
    ],
)
def test_every_kind_of_token(options: dict[str, Any], labels: list[str]) -> None:
    found = _fit(**options).inspect(text=TEXT[:40])
    assert list(found.words.labels[: len(labels)]) == labels
    assert len(found.unrolled.rows) == options.get("num_layers", 1)
    assert found.attribution is not None
    assert np.isfinite(found.attribution.output).all()
    assert found.attribution.missed(0) < 0.01


def test_what_cannot_be_looked_at(model: LanguageModel, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="row: expected 1 to 1, one of the stretches of the text, got 2"):
        model.inspect(text="Ein Walde", row=2)
    with pytest.raises(DataError, match="the text: 2 tokens, expected at least 3"):
        model.inspect(text="Ei")
    short = tmp_path / "short.txt"
    short.write_text("E")
    with pytest.raises(DataError, match=r"short\.txt: 1 tokens"):
        model.inspect(str(short))
