"""How a classifier of sounds is trained: data, batches, loss, validation, temperature."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch.nn import functional as F

from recurra.data.audio.checks import Requirements, check_utterances
from recurra.data.audio.feature_source import FeatureSource
from recurra.data.audio.read import read_utterances
from recurra.data.audio.utterance_batches import UtteranceBatches
from recurra.data.audio.utterances import Utterances
from recurra.data.batches.batch import Batch
from recurra.data.batches.prefetched import Prefetched
from recurra.data.files.problems import problem_files
from recurra.data.labelled.series_encoding import Steps
from recurra.errors import ParameterError
from recurra.task import Objective
from recurra.task.label_objective import accuracy_in_words, label_validation, temperature_of
from recurra.tasks.sound.learned import SoundLearned
from recurra.tasks.sound.network import FittedSound, logits_of
from recurra.training import processes

if TYPE_CHECKING:
    from recurra.tasks.sound.sound_classifier import SoundClassifier, SoundReading

__all__ = ["calibrated", "make_objective", "read"]


def read(source: Any, y: Any, reading: "SoundReading", labelled: bool) -> Utterances:
    """Read and check recordings; see `Estimator.read`. Those that cannot be used are left out, and logged."""
    utterances = read_utterances(source, y)
    requirements = Requirements(text=labelled, silence=True)
    report = None if reading.problems is None else Path(reading.problems)
    # Without labels each recording is to have a prediction.
    most = reading.most_unusable if labelled else 0.0
    return check_utterances(utterances, requirements, most_unusable=most, report=report).utterances


def make_objective(
    classifier: "SoundClassifier", fitted: FittedSound, training: Utterances, validation: Utterances | None
) -> Objective:
    """Batches, loss and validation.

    Args:
        classifier: its options.
        fitted: what is to be trained.
        training: recordings with labels.
        validation: recordings to choose the best weights by. None: the last weights are used.

    Raises:
        ParameterError: a batch has fewer recordings than there are processes.
    """
    partition, learned = processes().partition, fitted.learned
    if classifier.batch_size < partition.count:
        expected = f"at least the number of processes, {partition.count}"
        raise ParameterError("batch_size", expected, classifier.batch_size)
    source = FeatureSource(
        training,
        learned.log_mel,
        learned.normalize,
        augmentation=classifier,
        seed=classifier.seed,
        channel=fitted.options["channel"],
    )
    ids = learned.labels.encode(_labels(training)).tolist()
    batches = UtteranceBatches(
        source,
        [[one] for one in ids],
        [one.seconds for one in training],
        classifier.batch_size,
        seed=classifier.seed,
        partition=partition,
    )

    def batch(step: int) -> Batch:
        made = batches(step)
        return Batch(Steps(*made.inputs).to(fitted.device), made.target[0].squeeze(1).to(fitted.device), made.weight)

    validate, baselines = None, {}
    if validation is not None:
        encoded, features = learned.encode(validation, fitted.options["channel"])
        validate, baselines = label_validation(
            learned.labels,
            _labels(validation),
            lambda network: logits_of(fitted, encoded, network),
            learned.baselines(features),
        )
    return Objective(
        Prefetched(batch),
        F.cross_entropy,
        validate,
        record={"padding_fraction": round(batches.padding_fraction, 4)},
        files=problem_files(training, validation),
        steps_per_epoch=batches.steps_per_epoch,
        unit="nats",
        measure="accuracy",
        baselines=baselines,
        words=lambda loss: accuracy_in_words(loss, fitted.learned.temperature),
    )


def calibrated(fitted: FittedSound, validation: Utterances | None) -> SoundLearned:
    """What was learned, with the temperature that fits validation data best; without validation data unchanged."""
    learned = fitted.learned
    if validation is None:
        return learned
    logits = logits_of(fitted, learned.encode(validation, fitted.options["channel"])[0])
    return replace(learned, temperature=temperature_of(learned.labels, _labels(validation), logits))


def _labels(utterances: Utterances) -> list[tuple[str]]:
    return [(text,) for text in utterances.texts]
