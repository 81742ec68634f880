"""Predictions and evaluations of a classifier of sounds."""

from pathlib import Path

import numpy as np

from recurra.data.audio.pcm import pcm_chunks
from recurra.data.audio.sound import Sound
from recurra.data.audio.utterances import Utterance, Utterances
from recurra.data.files.standard_input import SOURCE
from recurra.task import Evaluation
from recurra.task.classes import Classes
from recurra.task.label_evaluation import FRACTIONS, beginning_lengths, evaluate_labels
from recurra.tasks.sound.network import FittedSound, logits_of

__all__ = ["evaluate", "predict", "read_standard_input"]


def read_standard_input(fitted: FittedSound) -> Utterances:
    """All samples of standard input as one recording. Raises DataError, see `pcm_chunks`."""
    rate = fitted.learned.log_mel.sample_rate
    return Utterances((Utterance(SOURCE, Sound(np.concatenate(list(pcm_chunks(rate))), rate)),), SOURCE)


def predict(fitted: FittedSound, utterances: Utterances, path: Path | None, with_probabilities: bool) -> Classes:
    """Classify recordings, with labels or without; the arguments are those of `Classes`."""
    encoded, _ = fitted.learned.encode(utterances, fitted.options["channel"])
    return Classes(
        [one.id for one in utterances],
        fitted.learned.labels,
        fitted.learned.probabilities(logits_of(fitted, encoded)),
        kind="recording",
        path=None if len(utterances) == 1 else path,
        with_probabilities=with_probabilities,
        shown="ranking" if len(utterances) == 1 else "count",
    )


def evaluate(fitted: FittedSound, utterances: Utterances) -> Evaluation:
    """Compare predictions with known labels; see `SoundClassifier.evaluate`."""
    learned = fitted.learned
    encoded, features = learned.encode(utterances, fitted.options["channel"])
    early = {}
    for fraction in FRACTIONS:
        beginnings = encoded.beginnings(beginning_lengths(encoded.lengths, fraction))
        early[fraction] = learned.labels.decode(learned.probabilities(logits_of(fitted, beginnings)))
    return evaluate_labels(
        utterances.source,
        [(text,) for text in utterances.texts],
        learned.labels,
        logits_of(fitted, encoded),
        learned.temperature,
        learned.baselines(features),
        early,
    )
