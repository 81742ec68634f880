"""Where the trained model loses to a simple method, training says so first, in every task that has such a method."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from recurra.data.audio.sound import Sound
from recurra.tasks.forecast import Forecaster
from recurra.tasks.language import LanguageModel
from recurra.tasks.speech import SpeechRecognizer
from recurra.tasks.tag import Tagger
from recurra.tasks.translate import Translator

WEAK: dict[str, Any] = {"hidden_size": 4, "max_steps": 1, "learning_rate": 1e-6, "device": "cpu"}


def forecast() -> Forecaster:
    days = np.datetime64("2024-01-01", "us") + np.arange(80) * np.timedelta64(1, "D")
    frame = {"unique_id": ["a"] * 80, "ds": days, "y": 1000.0 * (1 + np.arange(80) % 7) ** 3 + np.arange(80)}
    polars = pytest.importorskip("polars")
    return Forecaster(**WEAK, horizon=7, context_length=8, folds=0).fit(polars.DataFrame(frame), progress=False)


def language() -> LanguageModel:
    return LanguageModel(**WEAK, batch_size=2).fit({"train": "abcd" * 200, "validation": "abcd" * 50}, progress=False)


def tag() -> Tagger:
    sentences = [[("Ann", "name"), ("runs", "verb"), (".", "mark")]] * 8
    return Tagger(**WEAK, characters="none", output="softmax").fit(sentences, validation=sentences, progress=False)


def translate() -> Translator:
    lines = [
        f"{one} and {other} are here" for one in ("Anna", "Berta", "Clara", "Dora") for other in ("Maria", "Sophie")
    ] * 3
    pairs = (lines, lines)
    return Translator(**WEAK, vocabulary_size=300).fit(pairs, validation=pairs, progress=False)


def speech() -> SpeechRecognizer:
    samples = np.random.default_rng(0).normal(size=4000).astype(np.float32)
    sounds, texts = [Sound(samples, 8000)] * 4, ["ab"] * 4
    small = {"sample_rate": 8000, "bins": 16, "num_layers": 1, "channels": 2, "splices": 0.0, "plain_steps": 0}
    recognizer = SpeechRecognizer(**WEAK, **small)
    return recognizer.fit(sounds, texts, validation=(sounds, texts), progress=False)


@pytest.mark.parametrize(
    ("train", "extra", "names"),
    [
        (forecast, "polars", ("seasonal naive (MASE",)),
        (language, "numpy", ("6-gram, Kneser-Ney 0.",)),
        (tag, "numpy", ("most frequent tag of each word 100.00 %",)),
        (translate, "sacrebleu", ("copy the source (BLEU 100.00",)),
        (speech, "soundfile", ("the commonest text 100.00 %",)),
    ],
)
def test_training_says_that_a_simple_method_is_better(
    train: Callable[[], Any], extra: str, names: tuple[str, ...]
) -> None:
    pytest.importorskip(extra)
    first, second = train().summary().splitlines()
    assert "worse than" in first
    assert "on the validation data" in first
    assert all(name in first for name in names)
    assert second.startswith("trained 1 steps")
