"""How networks that give one label are validated and calibrated, alike in every task that has one."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from recurra.data.batches.ignored import IGNORED
from recurra.data.labelled.label_set import LabelSet
from recurra.data.labelled.labels import Labels
from recurra.models.temperature import fit_temperature
from recurra.task.tie_break import LARGEST_PART, with_tie_broken
from recurra.training import Mean

__all__ = ["accuracy_in_words", "label_validation", "temperature_of"]


def label_validation(
    labels: LabelSet,
    references: Sequence[Labels],
    logits: Callable[[nn.Module], np.ndarray],
    baselines: Mapping[str, Sequence[Labels]],
) -> tuple[Callable[[nn.Module], Mean], dict[str, float]]:
    """The validation loss of a network, a fraction of wrong labels, and those of the baselines by name.

    Args:
        labels: of the model, one an item.
        references: the label of each item of validation (N,).
        logits: from a network to its scores of them (N, K).
        baselines: the labels that simple methods predict, by name.
    """
    target = labels.encode(references)

    def validate(network: nn.Module) -> Mean:
        scores = torch.from_numpy(logits(network))
        # Labels that training never saw have no loss; a task refuses data of which that is true of all. On a few items
        # many weights are equally right: of these the loss chooses.
        loss = float(F.cross_entropy(scores, target, ignore_index=IGNORED))
        return Mean(with_tie_broken(float((scores.argmax(1) != target).double().mean()), loss), 1.0)

    def wrong(predicted: Sequence[Labels]) -> float:
        return LARGEST_PART + float(
            np.mean([tuple(one) != tuple(other) for one, other in zip(predicted, references, strict=True)])
        )

    return validate, {name: wrong(predicted) for name, predicted in baselines.items()}


def temperature_of(labels: LabelSet, references: Sequence[Labels], logits: np.ndarray) -> float:
    """The temperature that fits validation data best, whose scores are logits (N, K)."""
    return fit_temperature(logits, labels.encode(references).numpy())


def accuracy_in_words(loss: float, temperature: float) -> str:
    """A validation loss of `label_validation`, as training reports it."""
    return f"accuracy {100 * (1 - loss):.2f} % (temperature {temperature:.2f})"
