"""Tasks whose network is a stack of blocks: trained, saved, inspected, and refused where it does not fit."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import recurra
from made_sentences import sentences
from recurra import Classifier, MusicModel, Tagger
from recurra.errors import ParameterError
from recurra.inspection import record

TINY: dict[str, Any] = {"max_steps": 2, "device": "cpu", "validate_every": 2, "hidden_size": 8}


def test_a_classifier_of_series(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    series = [random.normal(size=(int(steps), 2)) for steps in random.integers(3, 9, 24)]
    labels = ["up" if one[:, 0].mean() > 0 else "down" for one in series]
    options = {**TINY, "architecture": ("rglru", "attention:4"), "bidirectional": False, "members": 2, "filters": 4}
    classifier = Classifier(**options).fit(series, labels, progress=False)
    classifier.save(tmp_path / "run")
    loaded = recurra.load(tmp_path / "run")
    assert loaded.get_params()["architecture"] == ("rglru", "attention:4")
    assert list(loaded.predict(series)) == list(classifier.predict(series))
    view = classifier.view(series, labels)
    assert "a stack of 1 x (rglru, attention:4) of 8 features" in view.words.facts["network"]
    tracks = record(classifier.fitted.network, *view.inputs, layers=view.layers).tracks
    modules = [segment.module for track in tracks for segment in track.segments]
    assert modules == ["classifier.networks.0.recurrent.blocks.0.block.recurrent"]


def test_a_tagger_reads_forward(tmp_path: Path) -> None:
    options = {**TINY, "architecture": ("lstm:4", "mlp"), "bidirectional": False, "characters": "convolution"}
    tagger = Tagger(**options).fit(sentences(8), progress=False)
    tagger.save(tmp_path / "run")
    words = [["a", "b"]]
    assert recurra.load(tmp_path / "run").predict(words) == tagger.predict(words)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (Classifier, {}, "bidirectional: expected False with an architecture.*--bidirectional false"),
        (Tagger, {"bidirectional": False, "recurrent_dropout": 0.1}, "recurrent_dropout: expected its default"),
        (MusicModel, {"hidden_size": 9}, "architecture, item 2: heads"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_does_not_fit_is_refused_before_data_are_read(kind: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        kind(architecture=("lstm", "attention:8"), **options)
