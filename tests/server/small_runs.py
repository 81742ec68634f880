"""Small runs of every task that streams, made in a moment, with items for a session of each."""

import base64
import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from made_drawings import drawings
from made_music import duets
from made_sentences import sentences
from recurra import (
    AnomalyDetector,
    Classifier,
    DrawingModel,
    Forecaster,
    LanguageModel,
    MusicModel,
    Regressor,
    SoundClassifier,
    Tagger,
)
from recurra.data.audio.sound import Sound
from recurra.tasks.speech import SpeechRecognizer

__all__ = ["made_run"]

TEXT = "the quick brown fox jumps over the lazy dog.\nthe lazy fox. " * 40


def _run(estimator: Any, data: Any, folder: Path, truth: Any = None) -> str:
    estimator.fit(data, *(() if truth is None else (truth,)), progress=False).save(folder)
    return str(folder)


def _observations(count: int) -> list[dict[str, Any]]:
    days = [datetime.datetime(2026, 1, 1) + datetime.timedelta(days=k) for k in range(count)]
    return [{"ds": day.isoformat(), "y": float(np.sin(k) + 2)} for k, day in enumerate(days)]


def made_run(kind: str, folder: Path) -> tuple[str, list[Any]]:
    """A run of a small model, and items for a session of it."""
    small: dict[str, Any] = {"hidden_size": 4, "max_steps": 2, "device": "cpu"}
    one_way: dict[str, Any] = {**small, "bidirectional": False, "batch_size": 8}
    if kind.startswith("language"):
        tokens: Any = kind.split()[1]
        size: dict[str, Any] = {"vocabulary_size": 300} if tokens == "subwords" else {}
        model = LanguageModel(tokens=tokens, truncation_length=20, batch_size=4, **small, **size)
        return _run(model, {"train": TEXT, "validation": TEXT[:400]}, folder), ["the quick brown", " fox", "lazy"]
    if kind == "music stack":
        model = MusicModel(architecture=("rglru", "attention:4", "mlstm:2"), nade_size=4, **small)
        return _run(model, duets(8), folder), [{"frames": [[60, 64], [60]]}, {"frames": [[62]], "temperature": 0.5}]
    if kind == "tag":
        return _run(Tagger(**one_way), sentences(12), folder), ["Ann", "sees", "Bob", "unheard-of"]
    if kind.startswith("music"):
        output: Any = kind.split()[1]
        items = [{"frames": [[60, 64], [60]]}, {"frames": [], "seed": 1}, {"frames": [[62]], "temperature": 0.5}]
        if output == "events":
            items = [{"events": ["bar", "position 0"]}, {"events": [], "seed": 2}]
        return _run(MusicModel(output=output, nade_size=4, **small), duets(8), folder), items
    if kind == "forecast":
        rows = _observations(60)
        frame = pl.DataFrame(rows).with_columns(pl.col("ds").str.to_datetime())
        return _run(Forecaster(horizon=2, **small), frame, folder), [*rows[:12], rows[14], {**rows[15], "y": None}]
    if kind in ("classify texts", "classify labels of texts"):
        texts = ["not bad at all", "bad indeed", "all good", "good and bad", "not at all good"] * 4
        labels = [[one for one in ("good", "bad") if one in text] for text in texts]
        classifier = Classifier(evidence=False, **one_way)
        truth = labels if "labels" in kind else [one[0] for one in labels]
        return _run(classifier, texts, folder, truth), ["not", "bad", "unheard-of", "!"]
    if kind == "draw":
        strokes, labels = drawings(20)
        items = [{"points": [], "label": "left"}, {"points": strokes[1].tolist(), "label": "left"}]
        return _run(DrawingModel(mixtures=2, batch_size=8, **small), strokes, folder, labels), items
    generator = np.random.default_rng(0)
    if kind.startswith("sound"):
        size = {"bins": 8} if "whole" in kind else {"bins": 8, "filters": 0, "bidirectional": False}
        sounds = [Sound((0.1 * generator.standard_normal(3000)).astype(np.float32), 8000) for _ in range(16)]
        samples = [round(float(one), 5) for one in sounds[0].samples[:520]]
        pieces = [samples[:200], samples[80:440], base64.b64encode(np.zeros(280, "<i2").tobytes()).decode()]
        return _run(SoundClassifier(**{**small, **size}), sounds, folder, ["soft", "loud"] * 8), pieces
    if kind == "speech":
        size = {"bins": 8, "channels": 2, "num_layers": 1, "bidirectional": False, "look_ahead": 0.1, "dropout": 0.0}
        sounds = [Sound((0.1 * generator.standard_normal(8000)).astype(np.float32), 8000) for _ in range(6)]
        samples = [[round(float(one), 5) for one in sound.samples] for sound in sounds]
        pieces = [samples[0][:4000], samples[1][:7], None, base64.b64encode(np.ones(2400, "<i2").tobytes()).decode()]
        recognizer = SpeechRecognizer(**{**small, **size, "validation_fraction": 0.0})
        return _run(recognizer, sounds, folder, ["a", "b", "a b"] * 2), pieces
    if kind == "anomaly":
        rows = np.stack([np.sin(np.arange(400) / 4), np.cos(np.arange(400) / 4)], axis=1)
        frame = pl.DataFrame(rows + 0.05 * generator.standard_normal(rows.shape), schema=["flow", "heat"])
        around = [{"flow": 0.1, "heat": 1.0}, {"flow": 0.3, "heat": None}, [0.5, 0.8], {"heat": 9.0, "flow": 0.6}]
        return _run(AnomalyDetector(**small), frame, folder), around
    series = [generator.standard_normal((9, 2)) for _ in range(20)]
    series[3][2, 1] = np.nan
    items = [[0.5, -1], {"2": 2.0, "1": -0.25}, [None, 1.5], [1e6, 0]]
    if kind == "classify series":
        labels = ["up" if np.nanmean(one) > 0 else "down" for one in series]
        return _run(Classifier(filters=0, normalization="channel", **one_way), series, folder, labels), items
    numbers = [float(np.nanmean(one)) for one in series]
    return _run(Regressor(filters=0, normalization="channel", **one_way), series, folder, numbers), items
