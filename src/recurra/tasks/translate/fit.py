"""From sentence pairs and settings to a model, and to what trains it."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from recurra.data.batches.batch import Batch
from recurra.data.text.parallel import ParallelText
from recurra.data.text.subwords import Subwords
from recurra.errors import DataError, ParameterError
from recurra.tasks.translate.fitted import FittedModel
from recurra.tasks.translate.network import Output, smoothed_loss
from recurra.tasks.translate.pairs import EncodedPairs
from recurra.tasks.translate.settings import TranslationSettings
from recurra.training import Mean, Trainer, evaluate, processes
from recurra.training.device import check_device

__all__ = ["describe_data", "learn_subwords", "make_trainer", "split"]

_log = logging.getLogger("recurra.translate")
_MOST_HELD_OUT = 1000


@dataclass(frozen=True)
class _Parts:
    """Sentence pairs in subwords, for training and for validation."""

    training: EncodedPairs
    validation: EncodedPairs


def split(data: ParallelText, validation: ParallelText | None) -> tuple[ParallelText, ParallelText]:
    """The pairs to train on and those to validate with, blank ones left out.

    Where none are given to validate with, a twentieth of the data is held out, up to 1,000 pairs: the same ones
    whatever the seed of the training, so that runs of different seeds have one vocabulary and can be an ensemble.

    Raises:
        DataError: where none are left to train on, or none of those to validate with.
    """
    pairs = data.filled()
    if len(pairs) < len(data):
        _log.warning("%s: %d pairs with a blank side are left out", data.name, len(data) - len(pairs))
    if not len(pairs):
        raise DataError(f"{data.name}: every pair has a blank side; there is nothing to learn from")
    if validation is not None:
        given = validation.filled()
        if not len(given):
            raise DataError(f"{validation.name}: every pair has a blank side; there is nothing to validate with")
        return pairs, given
    order = np.random.default_rng(0).permutation(len(pairs))
    count = min(len(pairs) // 20, _MOST_HELD_OUT)
    return pairs.take(np.sort(order[count:]).tolist()), pairs.take(np.sort(order[:count]).tolist())


def describe_data(data: ParallelText, validation: ParallelText) -> dict[str, Any]:
    """What `run.json` says of the data, to know them again by."""
    return {
        "source": data.name,
        "pairs": len(data),
        "digest": data.digest(),
        "validation_pairs": len(validation),
        "validation_digest": validation.digest(),
    }


def learn_subwords(data: ParallelText, settings: TranslationSettings) -> tuple[Subwords, Subwords]:
    """The subwords of source and target; the same where the vocabulary is joint."""
    size, kind = settings.vocabulary_size, settings.subwords
    if settings.joint_vocabulary:
        joint = Subwords.train([*data.source, *data.target], size, kind)
        return joint, joint
    return Subwords.train(data.source, size, kind), Subwords.train(data.target, size, kind)


def make_trainer(
    model: FittedModel,
    data: ParallelText,
    validation: ParallelText,
    folder: Path | None = None,
    tensorboard: bool = False,
    progress: bool | None = None,
) -> Trainer:
    """The trainer of a model; the last arguments as of `Trainer`.

    Raises:
        DataError: where every pair is longer than the settings allow.
        ParameterError: for a device that is not there.
    """
    settings, device, share = model.settings, model.device, processes().share
    check_device(settings.device)
    parts = _encode(model, data, validation)
    buckets = parts.training.buckets(settings.batch_tokens, settings.seed, share)
    validating = len(parts.validation) > 0

    def batch(step: int) -> Batch:
        indices = buckets(step)
        found = parts.training.batch(indices if len(indices) else [0], device)
        return found if len(indices) else Batch(found.inputs, found.target, 0)

    def loss(output: Output, target: Tensor) -> Tensor:
        return smoothed_loss(output, target, settings.label_smoothing, settings.coverage_penalty)

    def plain_loss(output: Output, target: Tensor) -> Tensor:
        return smoothed_loss(output, target, 0, 0)

    def validate(network: nn.Module) -> Mean:
        order = np.argsort(-parts.validation.lengths, kind="stable")
        mine = share.of(order)
        size = max(1, settings.batch_tokens // (settings.max_length + 1))
        groups = (mine[start : start + 4 * size] for start in range(0, len(mine), 4 * size))
        return evaluate(network, plain_loss, (parts.validation.batch(group, device) for group in groups))

    return Trainer(
        model.network,
        loss,
        batch,
        settings,
        validate if validating else None,
        folder,
        tensorboard,
        progress=progress,
        record={"batches_per_epoch": buckets.steps_per_epoch, "padding_share": round(buckets.padding_share, 4)},
    )


def _encode(model: FittedModel, data: ParallelText, validation: ParallelText) -> _Parts:
    settings = model.settings
    parts = []
    for text, what in ((data, "trained on"), (validation, "validated with")):
        pairs = EncodedPairs(text, model.source, model.target)
        fitting = pairs.within(settings.max_length)
        left_out = len(pairs) - len(fitting)
        if left_out:
            _log.warning(
                "%s: %d of %d pairs are longer than max_length = %d subwords and are not %s",
                *(text.name, left_out, len(pairs), settings.max_length, what),
            )
        if left_out and not len(fitting):
            raise DataError(f"{text.name}: every pair is longer than max_length = {settings.max_length} subwords")
        parts.append(fitting)
    count = processes().count
    if len(parts[0]) < count:
        raise ParameterError("data", f"at least a pair for each of {count} processes", len(parts[0]))
    return _Parts(*parts)
