"""How a classifier of sounds is trained: data, batches, loss, validation, temperature."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.data.audio.checks import Requirements, check_utterances
from recurra.data.audio.feature_source import FeatureSource
from recurra.data.audio.read import read_utterances
from recurra.data.audio.utterance_batches import UtteranceBatches
from recurra.data.audio.utterances import Utterances
from recurra.data.batches.batch import Batch
from recurra.data.batches.ignored import IGNORED
from recurra.data.batches.prefetched import Prefetched
from recurra.data.files.problems import problem_files
from recurra.data.labelled.series_encoding import EncodedSeries, Steps
from recurra.errors import ParameterError
from recurra.models.temperature import fit_temperature
from recurra.task import Objective
from recurra.task.tie_break import LARGEST_PART, with_tie_broken
from recurra.tasks.sound.learned import SoundLearned
from recurra.tasks.sound.network import FittedSound, logits_of
from recurra.training import Mean, processes

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
    ids = learned.labels.encode([(text,) for text in training.texts]).tolist()
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

    def words(loss: float) -> str:
        return f"accuracy {100 * (1 - loss):.2f} % (temperature {fitted.learned.temperature:.2f})"

    validate, baselines = None, {}
    if validation is not None:
        validate, baselines = _validation(fitted, validation)
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
        words=words,
    )


def calibrated(fitted: FittedSound, validation: Utterances | None) -> SoundLearned:
    """What was learned, with the temperature that fits validation data best; without validation data unchanged."""
    learned = fitted.learned
    if validation is None:
        return learned
    target = learned.labels.encode([(text,) for text in validation.texts]).numpy()
    logits = logits_of(fitted, learned.encode(validation, fitted.options["channel"])[0])
    return replace(learned, temperature=fit_temperature(logits, target))


def _validation(fitted: FittedSound, validation: Utterances) -> tuple[Callable[[nn.Module], Mean], dict[str, float]]:
    """The validation loss of a network, and that of the baseline."""
    learned = fitted.learned
    encoded, features = learned.encode(validation, fitted.options["channel"])
    references = [(text,) for text in validation.texts]
    target = learned.labels.encode(references)

    def validate(network: nn.Module) -> Mean:
        return Mean(_wrong(fitted, encoded, target, network), 1.0)

    return validate, {
        name: LARGEST_PART + float(np.mean([one != other for one, other in zip(predicted, references, strict=True)]))
        for name, predicted in learned.baselines(features).items()
    }


def _wrong(fitted: FittedSound, encoded: EncodedSeries, target: Tensor, network: nn.Module) -> float:
    """The fraction of wrong labels, and a small part of the loss, which chooses among equally good weights."""
    logits = torch.from_numpy(logits_of(fitted, encoded, network))
    # Labels that training never saw have no loss; `check_validation` refuses data of which that is true of all.
    loss = float(F.cross_entropy(logits, target, ignore_index=IGNORED))
    return with_tie_broken(float((logits.argmax(1) != target).double().mean()), loss)
