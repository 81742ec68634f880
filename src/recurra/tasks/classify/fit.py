"""From labelled items and settings to a trained, calibrated model."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from recurra.data.batches.batch import Batch
from recurra.data.batches.buckets import Buckets
from recurra.data.labelled.texts import LabelledTexts
from recurra.data.text.word_encoding import WordEncoding, vector_table
from recurra.data.text.word_vectors import WordVectors
from recurra.errors import ParameterError
from recurra.tasks.classify.calibration import fit_temperature
from recurra.tasks.classify.encoding import SeriesEncoding, TextEncoding
from recurra.tasks.classify.fitted import FittedClassifier
from recurra.tasks.classify.given import Items, values_of
from recurra.tasks.classify.labels import LabelSet
from recurra.tasks.classify.metrics import score
from recurra.tasks.classify.network import classification_loss
from recurra.tasks.classify.pieces import cut
from recurra.tasks.classify.settings import ClassifySettings
from recurra.training import Trainer, processes
from recurra.training.device import check_device

__all__ = ["calibrate", "make_trainer", "prepare"]


def prepare(items: Items, settings: ClassifySettings, vectors: WordVectors | None = None) -> FittedClassifier:
    """A classifier to be trained on these items; nothing long is done yet.

    Raises:
        DataError: where there is nothing to tell apart.
        ParameterError: for a device that is not there, or vectors with series.
    """
    check_device(settings.device)
    assert items.labels is not None
    labels = LabelSet.of(items.labels, items.source)
    if not isinstance(items, LabelledTexts):
        if vectors is not None:
            raise ParameterError("vectors", "None with series, which have no words", vectors.source)
        encoding = SeriesEncoding.of(items.series, items.channels, settings)
        return FittedClassifier(settings, encoding, labels)
    sentences = [[piece.text for piece in cut(text, settings.split, settings.max_length)] for text in items.texts]
    words = WordEncoding.of(sentences, settings.lowercase, settings.min_count, vectors)
    table = None if vectors is None else vector_table(vectors)
    return FittedClassifier(settings, TextEncoding(words, settings.split, settings.max_length), labels, table)


def make_trainer(
    model: FittedClassifier,
    items: Items,
    valid: Items | None = None,
    folder: Path | None = None,
    tensorboard: bool = False,
    progress: bool | None = None,
) -> Trainer:
    """The trainer of a classifier.

    Args:
        model: to be trained.
        items: to learn from.
        valid: to choose the best weights by; None to keep the last.
        folder: of the run.
        tensorboard: as of `Trainer`.
        progress: as of `Trainer`.

    Raises:
        DataError: where series have other channels.
        ParameterError: for a batch of fewer items than there are processes.
    """
    settings, share = model.settings, processes().share
    if settings.batch_size < share.count:
        raise ParameterError("batch_size", f"at least the number of processes, {share.count}", settings.batch_size)
    assert items.labels is not None
    encoded = model.encode(values_of(items), items.source)
    targets = model.labels.encode(items.labels)
    weights = None
    if settings.class_weights == "balanced":
        weights = model.labels.weights(len(items)).to(model.device)
    buckets = Buckets(encoded.lengths, settings.batch_size, seed=settings.seed, share=share)

    def batch(step: int) -> Batch:
        indices = buckets(step)
        weight = float(len(indices))
        if not weight:
            # More processes than items are left: any item, so that all make the step.
            indices = np.array([0])
        return Batch(encoded.batch(indices).to(model.device), targets[indices].to(model.device), weight)

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        return classification_loss(logits, target, weights, settings.label_smoothing)

    return Trainer(
        model.network,
        loss,
        batch,
        settings,
        None if valid is None else _validation(model, valid),
        folder,
        tensorboard,
        progress=progress,
        record={"batches_per_epoch": buckets.steps_per_epoch, "padding_share": round(buckets.padding_share, 4)},
    )


def calibrate(model: FittedClassifier, valid: Items | None) -> None:
    """Choose the model's temperature by items that it was not trained on; it is 1 where there are none."""
    if valid is None or valid.labels is None:
        return
    target = model.labels.encode(valid.labels).numpy()
    known = np.ones(len(target), bool) if model.labels.several else target >= 0
    logits = model.logits(model.encode(values_of(valid), valid.source))
    model.temperature = fit_temperature(logits[known], target[known])


def _validation(model: FittedClassifier, valid: Items) -> Callable[[nn.Module], float]:
    assert valid.labels is not None
    references, several, by = valid.labels, model.labels.several, model.settings.choose_by
    encoded = model.encode(values_of(valid), valid.source)
    targets = model.labels.encode(references)

    def validate(network: nn.Module) -> float:
        # The averaged weights are in a network of their own.
        logits = model.logits(encoded, network)
        if by == "loss":
            return float(classification_loss(torch.from_numpy(logits), targets))
        predicted = model.labels.decode(model.labels.probabilities(logits))
        found = score(references, predicted, model.labels.names.symbols, several)
        return 1 - (found.macro_f1 if by == "macro_f1" else found.overall.f1)

    return validate
