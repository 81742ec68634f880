"""Whole inputs of every task, from JSON to JSON."""

import base64
import math
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest
from serving import Serving

from made_classes import series, texts
from made_sentences import sentences
from made_sounds import write_sound
from recurra import Classifier, DrawingModel, Forecaster, SoundClassifier, Tagger, Translator
from recurra.data.audio.sound import Sound
from recurra.data.audio.timed_words import Segment, Word
from recurra.server.refusal import Refusal
from recurra.server.served_model import ServedModel
from recurra.server.strict_json import write_json
from recurra.server.whole_sequences import predict, to_json

SMALL: dict[str, Any] = {"hidden_size": 4, "max_steps": 2, "batch_size": 8, "device": "cpu"}
SMALL_TRANSLATOR: dict[str, Any] = {
    "vocabulary_size": 270,
    "max_steps": 2,
    "max_length": 12,
    "hidden_size": 8,
    "embedding_size": 8,
    "device": "cpu",
}


@pytest.fixture(scope="module")
def estimators() -> dict[str, Any]:
    """A small fitted estimator of each task."""
    days = [datetime(2026, 1, 1 + k % 28, k // 28) for k in range(60)]
    frame = pl.DataFrame({"ds": sorted(days), "y": [float(k % 7) for k in range(60)]})
    pairs = (["a b", "b a c", "c a"] * 6, ["b a", "c a b", "a c"] * 6)
    return {
        "texts": Classifier(**SMALL).fit(*texts(24), progress=False),
        "series": Classifier(**SMALL).fit(*series(24), progress=False),
        "tag": Tagger(**SMALL).fit(sentences(12), progress=False),
        "forecast": Forecaster(horizon=3, max_steps=2, folds=0, device="cpu").fit(frame, progress=False),
        "translate": Translator(**SMALL_TRANSLATOR).fit(pairs, progress=False),
    }


@pytest.mark.parametrize(
    ("name", "data", "keys"),
    [
        ("texts", ["a great film", "awful"], {"labels", "probabilities", "confidence"}),
        ("series", [[[0.0, 1.0], [1.0, 2.0]], [[0.5, 0.5]]], {"labels", "probabilities", "confidence"}),
        ("tag", ["Ann sees Bob", "Cyd"], {"words", "tags", "confidence"}),
        ("tag", [["Ann", "sees"], ["Bob"]], {"words", "tags", "confidence"}),
    ],
)
def test_a_prediction_for_each_input(estimators: dict[str, Any], name: str, data: Any, keys: set[str]) -> None:
    found = predict(estimators[name], data)
    assert len(found) == 2
    for one in found:
        assert set(one) == keys
    write_json(found)


def test_labels_are_those_of_the_estimator(estimators: dict[str, Any]) -> None:
    data = ["a great film", "awful"]
    expected = estimators["texts"].predictions(data)
    for found, one in zip(predict(estimators["texts"], data), expected, strict=True):
        assert found["labels"] == list(one.labels)
        assert found["probabilities"] == one.probabilities


def test_a_sound_is_samples_and_never_a_path(tmp_path: Path) -> None:
    samples = [Sound((0.1 * np.sin(np.arange(2000) * (1 + k % 2))).astype(np.float32), 8000) for k in range(16)]
    classifier = SoundClassifier(**SMALL, filters=0, bins=8).fit(samples, ["low", "high"] * 8, progress=False)
    whole = (32767 * samples[0].samples).astype("<i2")
    found = predict(classifier, [(whole / 32768).tolist(), base64.b64encode(whole.tobytes()).decode()])
    expected = classifier.predictions([Sound((whole / 32768).astype(np.float32), 8000)])[0]
    for one in found:
        assert one["probabilities"] == pytest.approx(expected.probabilities, rel=1e-5)
    path = write_sound(tmp_path / "sound.wav", samples[0].samples, 8000)
    for data in ([str(path)], str(path), [], [0.5], {"file": [str(path)]}):
        with pytest.raises(Refusal) as refused:
            predict(classifier, data)
        assert (refused.value.status_code, refused.value.code) == (422, "invalid_data")
        assert str(path) not in str(refused.value)


def test_a_text_is_no_path_of_a_drawing(tmp_path: Path) -> None:
    small: dict[str, Any] = {"max_steps": 1, "hidden_size": 4, "mixtures": 2, "device": "cpu"}
    model = DrawingModel(**small).fit([np.ones((5, 3)) * (1, 2, 0)] * 12, progress=False)
    path = tmp_path / "drawing.csv"
    path.write_text("drawing,stroke,x,y\n0,0,0,0\n0,0,1,1\n", encoding="utf-8")
    assert len(model.predictions([str(path)]).values) == 1
    for data in ([str(path)], [[str(path)]], {"file": [str(path)]}):
        with pytest.raises(Refusal) as refused:
            predict(model, data)
        assert (refused.value.status_code, refused.value.code) == (422, "invalid_data")
        assert str(path) not in str(refused.value)


def test_what_is_said_has_times_and_confidence() -> None:
    [[segment]] = to_json([[Segment((Word("on", 0.1, 0.3, 0.9), Word("off", 0.5, 0.75, 0.8)))]])
    assert segment["words"][1] == {"word": "off", "begin": 0.5, "end": 0.75, "confidence": 0.8}
    assert (segment["text"], segment["begin"], segment["end"]) == ("on off", 0.1, 0.75)


def test_forecasts_are_columns(estimators: dict[str, Any]) -> None:
    columns = {"ds": [f"2026-03-{k + 1:02d}T00:00:00" for k in range(28)], "y": [float(k % 7) for k in range(28)]}
    found = predict(estimators["forecast"], columns)
    assert {"ds", "forecast", "q0.1", "q0.9"} <= set(found)
    assert len(found["forecast"]) == 3
    write_json(found)


def test_translations_are_texts(estimators: dict[str, Any]) -> None:
    pytest.importorskip("sentencepiece")
    found = predict(estimators["translate"], ["a b", "c"])
    assert len(found) == 2
    write_json(found)


BAD: list[Any] = [
    *(None, True, 1, "", "/etc/passwd", [], {}, [None], [1], [[]], [[[]]], [["a", 1]], ["a", 1], [["a"], "b"]),
    *([[1, [2]]], [[[1.0], [1.0, 2.0]]], [[[[1.0]]]], [{"a": 1}], {"a": 1}, {"a": [1], "b": [1, 2]}, {"a": [[1]]}),
    *({"ds": ["x"], "y": ["z"]}, {"ds": [None], "y": [None]}, {"y": [1.0]}, {"ds": [1], "y": [1e308]}, {"": []}),
]


def _outcome(estimator: Any, data: Any) -> Any:
    try:
        return predict(estimator, data)
    except Refusal as refusal:
        return refusal


@pytest.mark.parametrize("name", ["texts", "series", "tag", "forecast", "translate"])
def test_data_of_another_form_are_refused_or_answered(estimators: dict[str, Any], name: str) -> None:
    for data in BAD:
        found = _outcome(estimators[name], data)
        if isinstance(found, Refusal):
            assert (found.status_code, found.code) == (422, "invalid_data"), data
            assert "/" not in found.message, data
        else:
            write_json(found)


def test_a_model_that_does_not_stream_says_why(estimators: dict[str, Any], tmp_path: Any) -> None:
    from recurra.server import ServerOptions

    model = ServedModel("reviews", estimators["texts"], None, "a classifier of both directions reads whole inputs")
    options = ServerOptions(port=0, store=f"sqlite:{tmp_path / 's.db'}")
    with Serving({"reviews": model}, options) as server:
        assert server.get("/v1/models").json["models"] == [
            {"name": "reviews", "task": "classify", "streams": False, "reason": model.reason}
        ]
        refused = server.post("/v1/models/reviews/sessions", {})
        assert (refused.status, refused.code) == (409, "does_not_stream")
        assert refused.json["error"]["message"] == model.reason
        refused = server.step(f"/v1/models/reviews/sessions/{'A' * 22}", 1, "a")
        assert (refused.status, refused.code) == (409, "does_not_stream")
        assert server.post("/v1/models/reviews/predict", {"data": ["great"]}).status == 200


@dataclass
class _Point:
    x: float
    names: tuple[str, ...]


class _Pair(NamedTuple):
    first: int
    second: Any


def test_values_as_json() -> None:
    value = {
        1: _Point(math.nan, ("a", "b")),
        "pair": _Pair(1, np.float32(0.5)),
        "array": np.array([[1, 2], [3, 4]]),
        "when": [datetime(2026, 1, 2, 3), date(2026, 1, 2)],
        "frame": pl.DataFrame({"a": [1, None], "b": ["x", "y"]}),
        "rest": [None, True, "text", math.inf],
    }
    assert to_json(value) == {
        "1": {"x": None, "names": ["a", "b"]},
        "pair": {"first": 1, "second": 0.5},
        "array": [[1, 2], [3, 4]],
        "when": ["2026-01-02T03:00:00", "2026-01-02"],
        "frame": {"a": [1, None], "b": ["x", "y"]},
        "rest": [None, True, "text", None],
    }
