"""How a classifier is trained: batches, loss, validation, temperature."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.data.batches.batch import Batch
from recurra.data.batches.buckets import Buckets
from recurra.data.batches.ignored import is_ignored
from recurra.data.labelled.items import Items, values_of
from recurra.data.labelled.labels import Labels
from recurra.data.labelled.series_encoding import EncodedSeries, Steps
from recurra.data.labelled.text_encoding import EncodedTexts
from recurra.data.labelled.word_evidence import SampledEvidence
from recurra.data.text.word_encoding import Tokens
from recurra.errors import ParameterError
from recurra.models import SequenceClassifier
from recurra.models.solved_scores import Examples, left_out_scores, series_examples, signed_targets, solve_scores
from recurra.models.temperature import fit_temperature
from recurra.task import Objective
from recurra.task.tie_break import LARGEST_PART, with_tie_broken
from recurra.tasks.classify.learned import ClassifierLearned
from recurra.tasks.classify.network import FittedClassifier, logits_of
from recurra.training import Mean, processes
from recurra.training.label_scores import score_labels

__all__ = ["calibrated", "classification_loss", "make_objective"]


def calibrated(fitted: FittedClassifier, training: Items, validation: Items | None) -> ClassifierLearned:
    """What was learned, with the temperature that fits validation data best.

    Without validation data the temperature of a reservoir fits the scores of training items that are left out, each in
    turn; that of another network is unchanged.
    """
    learned = fitted.learned
    if validation is None or validation.labels is None:
        if not fitted.options["reservoir"]:
            return learned
        scores, signed = left_out_scores(_reader(fitted), _examples(fitted, training))
        target = (signed > 0).float() if learned.labels.multi_label else signed.argmax(1)
        temperature = fit_temperature(scores.cpu().numpy(), target.cpu().numpy())
        return replace(learned, temperature=temperature)
    target = learned.labels.encode(validation.labels).numpy()
    logits = logits_of(fitted, learned.encode(values_of(validation), validation.source))
    return replace(learned, temperature=fit_temperature(logits, target))


def make_objective(
    options: Mapping[str, Any], fitted: FittedClassifier, training: Items, validation: Items | None
) -> Objective:
    """Batches, loss and validation.

    Args:
        options: of the classifier, by name.
        fitted: what is to be trained.
        training: items with labels.
        validation: items to choose the best weights by. None: the last weights are used.

    Raises:
        ParameterError: a batch has fewer items than there are processes.
    """
    partition, labels, choose_by = processes().partition, fitted.learned.labels, options["choose_by"]
    if options["batch_size"] < partition.count:
        raise ParameterError(
            "batch_size", f"at least the number of processes, {partition.count}", options["batch_size"]
        )
    encoded = fitted.learned.encode(values_of(training), training.source)
    assert training.labels is not None
    targets = labels.encode(training.labels)
    weights = labels.weights(len(training)).to(fitted.device) if options["class_weights"] == "balanced" else None
    buckets = Buckets(encoded.lengths, options["batch_size"], seed=options["seed"], partition=partition)

    evidence, sampled = fitted.learned.evidence, None
    if isinstance(encoded, EncodedTexts) and evidence is not None and encoded.evidence_ids is not None:
        sampled = SampledEvidence(evidence, encoded.evidence_ids, targets, options["seed"])

    def inputs(indices: np.ndarray, step: int) -> Tokens | Steps:
        if isinstance(encoded, EncodedTexts) and sampled is not None:
            return encoded.batch(indices, sampled.of(indices, (step - 1) // buckets.steps_per_epoch))
        return encoded.batch(indices)

    def batch(step: int) -> Batch:
        indices = buckets(step)
        weight = float(len(indices))
        if not weight:
            # There are more processes than items left: this one takes any item, because all must make the step.
            indices = np.array([0])
        read = inputs(indices, step)
        if isinstance(read, Steps):
            generator = np.random.default_rng((options["seed"], step, partition.rank))
            read = read.varied(options["jitter"], options["scaling"], generator)
        return Batch(read.to(fitted.device), targets[indices].to(fitted.device), weight)

    def solve() -> float:
        solve_scores(
            _reader(fitted),
            _examples(fitted, training),
            None if validation is None else _examples(fitted, validation),
        )
        return float(classification_loss(torch.from_numpy(logits_of(fitted, encoded)), targets))

    measure = {"accuracy": "micro F1" if labels.multi_label else "accuracy", "macro_f1": "macro F1"}.get(choose_by, "")

    def words(loss: float) -> str:
        best = f"{measure} {100 * (1 - loss):.2f} %" if measure else f"loss {loss:.4f} nats"
        return f"{best} (temperature {fitted.learned.temperature:.2f})"

    return Objective(
        batch,
        lambda logits, target: classification_loss(logits, target, weights, options["label_smoothing"]),
        None if validation is None else _validation(fitted, validation, choose_by),
        record={"padding_fraction": round(buckets.padding_fraction, 4)},
        steps_per_epoch=buckets.steps_per_epoch,
        unit="nats",
        measure=measure,
        baselines={} if validation is None or not measure else _baselines(fitted, validation, choose_by),
        words=words,
        solve=solve if options["reservoir"] else None,
    )


def classification_loss(
    logits: Tensor, target: Tensor, weights: Tensor | None = None, label_smoothing: float = 0.0
) -> Tensor:
    """The mean loss over items.

    Args:
        logits: (B, K).
        target: (B,) indices, -100 for items that do not count: cross-entropy; or (B, K) of 0 and 1: the mean over
            labels of binary cross-entropies.
        weights: of labels (K,), see `LabelSet.weights`; None: 1 for each.
        label_smoothing: fraction of the probability spread over all labels.

    Returns:
        0-dim, in nats; 0 if nothing counts.
    """
    if target.is_floating_point():
        smoothed = target * (1 - label_smoothing) + label_smoothing / 2
        return F.binary_cross_entropy_with_logits(logits, smoothed, pos_weight=weights)
    counted = ~is_ignored(target)
    # The mean over items and not over their weights: batches of rare and of frequent labels then count the same.
    losses = F.cross_entropy(logits, target, weights, reduction="none", label_smoothing=label_smoothing)
    return losses.sum() / counted.sum().clamp(min=1)


def _reader(fitted: FittedClassifier) -> SequenceClassifier:
    """The network of a reservoir, which is one and reads series."""
    assert isinstance(fitted.network.classifier, SequenceClassifier)
    return fitted.network.classifier


def _examples(fitted: FittedClassifier, items: Items) -> Examples:
    """Series with the scores that a reservoir is fitted to."""
    learned, encoded = fitted.learned, fitted.learned.encode(values_of(items), items.source)
    assert isinstance(encoded, EncodedSeries)
    target = learned.labels.encode(items.labels or ())
    return series_examples(encoded, signed_targets(target, len(learned.labels)), fitted.device)


def _validation(fitted: FittedClassifier, validation: Items, choose_by: str) -> Callable[[nn.Module], Mean]:
    learned, references = fitted.learned, validation.labels or ()
    encoded = learned.encode(values_of(validation), validation.source)
    targets = learned.labels.encode(references)

    def validate(network: nn.Module) -> Mean:
        # The averaged weights are in a network of their own.
        logits = logits_of(fitted, encoded, network)
        loss = float(classification_loss(torch.from_numpy(logits), targets))
        if choose_by == "loss":
            return Mean(loss, 1.0)
        wrong = _wrong(learned, references, learned.labels.decode(learned.probabilities(logits)), choose_by)
        # On a few items many weights are equally right: of these the loss chooses.
        # The mean over processes, whose running means of a normalisation differ by the last batch.
        return Mean(with_tie_broken(wrong, loss), 1.0)

    return validate


def _baselines(fitted: FittedClassifier, validation: Items, choose_by: str) -> dict[str, float]:
    learned, references = fitted.learned, validation.labels or ()
    # The part of the loss that the network's figure has is allowed for.
    return {
        name: LARGEST_PART + _wrong(learned, references, predicted, choose_by)
        for name, predicted in learned.baselines(values_of(validation)).items()
    }


def _wrong(
    learned: ClassifierLearned, references: Sequence[Labels], predicted: Sequence[Labels], choose_by: str
) -> float:
    """One minus the F1 that chooses weights."""
    scores = score_labels(references, predicted, learned.labels.names.symbols, learned.labels.multi_label)
    return 1 - (scores.macro_f1 if choose_by == "macro_f1" else scores.overall.f1)
