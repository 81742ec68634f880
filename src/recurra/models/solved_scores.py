"""The scores of a reservoir that reads whole series, solved in closed form."""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from recurra.data.batches.buckets import Buckets
from recurra.data.labelled.series_encoding import EncodedSeries
from recurra.models.classifier import SequenceClassifier
from recurra.models.ridge_readout import RidgeReadout, RidgeSums, solve_ridge

__all__ = ["Examples", "left_out_scores", "series_examples", "signed_targets", "solve_scores"]

#: Makes batches anew at each call: inputs (B, T, I), lengths (B,) and what the scores should be (B, K), NaN if unknown.
Examples = Callable[[], Iterable[tuple[Tensor, Tensor, Tensor]]]

_STEPS_AT_ONCE = 4096


def series_examples(series: EncodedSeries, targets: Tensor, device: torch.device) -> Examples:
    """Series with what their scores should be (N, K), those of similar length in one batch."""

    def examples() -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        at_once = max(_STEPS_AT_ONCE, int(series.lengths.max()))
        buckets = Buckets(series.lengths, tokens=at_once, shuffle=False)
        for step in range(1, buckets.steps_per_epoch + 1):
            rows = buckets(step)
            batch = series.batch(rows).to(device)
            yield batch.values, batch.lengths, targets[rows].to(device)

    return examples


def signed_targets(target: Tensor, labels: int) -> Tensor:
    """Scores to fit (N, K): 1 for an item's label and -1 for the others.

    Args:
        target: indices of labels (N,), negative for one that is unknown, of which all scores are NaN; or (N, K) of 0
            and 1.
        labels: K.
    """
    if target.is_floating_point():
        return 2.0 * target - 1.0
    signed = 2.0 * torch.nn.functional.one_hot(target.clamp(min=0), labels) - 1.0
    return signed.masked_fill((target < 0).unsqueeze(1), torch.nan)


@torch.no_grad()
def solve_scores(network: SequenceClassifier, training: Examples, validation: Examples | None) -> RidgeReadout:
    """Fit the last layer to examples by ridge regression.

    Args:
        network: over a reservoir; its last layer is changed.
        training: to fit.
        validation: by which the penalty is chosen. None: generalised cross-validation chooses.

    Raises:
        DataError: a feature is not finite, or no target is known.
    """
    network.eval()
    layer, sums = network.scores, []
    for examples in (training, validation):
        one = RidgeSums(layer.in_features, layer.out_features, layer.weight.device)
        for inputs, lengths, target in () if examples is None else examples():
            one.add(network.pooled(inputs, lengths)[0], target)
        sums.append(one)
    readout = solve_ridge(*sums)
    readout.copy_to(layer)
    return readout


@torch.no_grad()
def left_out_scores(network: SequenceClassifier, training: Examples) -> tuple[Tensor, Tensor]:
    """The scores of each training example had it been left out (N, K) float64, and what they should be; solves anew."""
    readout = solve_scores(network, training, None)
    scores, targets = [], []
    for inputs, lengths, target in training():
        scores.append(readout.left_out(network.pooled(inputs, lengths)[0], target))
        targets.append(target)
    return torch.cat(scores), torch.cat(targets)
