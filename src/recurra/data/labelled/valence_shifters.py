"""Words that change what the words after them say: "not", "never", "than", "less" (Polanyi and Zaenen 2006).

No list of such words is needed: they are found in the training items, in any language.
"""

import torch
from torch import Tensor

__all__ = ["LAGS", "fit_shifts", "shifted"]

LAGS = 3
"""How many of the words after it a word changes."""

_FEWEST = 40  # steps that a word comes before
_RIDGE = 7.0  # of each shift's square, beside the sum of the items' losses in nats
_LEAST_WEIGHT = 0.1  # of the words' evidence, in which shifts are measured
_ITERATIONS = 50


def shifted(evidence: Tensor, shifts: Tensor) -> Tensor:
    """What the words before each step add to its evidence (B, T, K).

    Args:
        evidence: of each word (B, T, K).
        shifts: of each word (B, T): -1 takes the evidence of the words after it away, and -2 inverts it.
    """
    before = torch.zeros_like(shifts)
    for lag in range(1, min(LAGS, shifts.shape[1] - 1) + 1):
        before[:, lag:] += shifts[:, :-lag]
    return evidence * before.unsqueeze(2)


def fit_shifts(evidence: Tensor, others: Tensor, words: Tensor, owners: Tensor, target: Tensor, size: int) -> Tensor:
    """The shift of each word (V,), by a logistic regression with a ridge; 0 for words that are rare.

    The regression weighs the sums over an item's steps of its words' evidence, of the other kinds, and of the words'
    evidence after each word that may be a shifter. Its steps are those of all items, end to end.

    Args:
        evidence: of the words (S, K), from items other than the step's own.
        others: of the other kinds (S, J, K).
        words: their ids (S,); 0 is the unknown word, which has no shift.
        owners: the item of each step (S,), from 0 and never falling.
        target: of each item, labels (N,) int64 or (N, K) of 0 and 1.
        size: V.
    """
    shifts = torch.zeros(size, dtype=torch.float64)
    columns, before = _candidates(words, owners, size)
    kinds = torch.cat([evidence.unsqueeze(1), others], dim=1).double()
    sums = torch.zeros(len(target), *kinds.shape[1:], dtype=torch.float64).index_add_(0, owners, kinds)
    count, (_, num_kinds, num_labels) = len(columns), kinds.shape
    if not count:
        return shifts.float()
    # The last of the shifts stays 0: it stands for words that are none, and for what was before the item.
    parameters = torch.zeros(count + num_kinds + num_labels, dtype=torch.float64, requires_grad=True)
    words_evidence = evidence.double()

    def loss() -> Tensor:
        own, weights, bias = parameters.split([count, num_kinds, num_labels])
        factors = torch.cat([own, own.new_zeros(1)])[before].sum(1)
        changed = torch.zeros_like(sums[:, 0]).index_add(0, owners, words_evidence * factors.unsqueeze(1))
        scores = bias + (weights.unsqueeze(1) * sums).sum(1) + changed
        if target.is_floating_point():
            binary = torch.nn.functional.binary_cross_entropy_with_logits
            losses = binary(scores, target.double(), reduction="sum") / num_labels
        else:
            losses = torch.nn.functional.cross_entropy(scores, target, reduction="sum")
        return (losses + _RIDGE * own.square().sum()) / len(target)

    optimizer = torch.optim.LBFGS([parameters], max_iter=_ITERATIONS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    with torch.enable_grad():
        optimizer.step(closure)
    own, weights, _ = parameters.detach().split([count, num_kinds, num_labels])
    shifts[columns] = own / weights[0].clamp(min=_LEAST_WEIGHT)
    return shifts.float()


def _candidates(words: Tensor, owners: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The ids of words that may be shifters (C,), and for each step which of them are before it (S, LAGS); C: none."""
    previous = torch.zeros(len(words), LAGS, dtype=torch.int64)
    for lag in range(1, min(LAGS, len(words) - 1) + 1):
        previous[lag:, lag - 1] = words[:-lag] * (owners[:-lag] == owners[lag:])
    counts = torch.bincount(previous[:, 0], minlength=size)
    counts[0] = 0
    columns = (counts >= _FEWEST).nonzero().squeeze(1)
    indices = torch.full((size,), len(columns))
    indices[columns] = torch.arange(len(columns))
    return columns, indices[previous]
