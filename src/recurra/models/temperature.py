"""Temperature scaling of a classifier's scores."""

import numpy as np

from recurra.data.batches.ignored import IGNORED

__all__ = ["fit_temperature"]

_LARGEST = 20.0  # temperature


def fit_temperature(logits: np.ndarray, target: np.ndarray) -> float:
    """The temperature T for which the probabilities of logits / T fit best (Guo et al. 2017, section 4.2).

    If a few items are all classified correctly, the best fit has no doubt at all. The items therefore count as if there
    were one more, of which any label may be true (Platt 1999 smooths targets so). T is limited to 1/20 to 20.

    Args:
        logits: (N, K), of items that the model was not trained on.
        target: the indices of their labels (N,), -100 for an item that does not count; or for multi-label items (N, K)
            of 0 and 1.

    Returns:
        T; 1 if there are no items that count.
    """
    if target.ndim == 1:
        known = target != IGNORED
        logits, target = logits[known], target[known]
    if not len(logits):
        return 1.0
    logits = logits.astype(np.float64)
    doubt = 1 / (len(logits) + 1)
    if target.ndim == 2:
        explained = (target * (1 - doubt) + doubt / 2) * logits
    else:
        explained = (1 - doubt) * logits[np.arange(len(logits)), target] + doubt * logits.mean(1)

    def slope(inverse: float) -> float:
        """Of the mean loss in 1 / T, in which it is convex."""
        scaled = inverse * logits
        if target.ndim == 2:
            return float((logits / (1 + np.exp(-np.clip(scaled, -700, 700))) - explained).mean())
        probabilities = np.exp(scaled - scaled.max(1, keepdims=True))
        probabilities /= probabilities.sum(1, keepdims=True)
        return float(((probabilities * logits).sum(1) - explained).mean())

    low, high = 1 / _LARGEST, _LARGEST
    if slope(low) >= 0:
        return _LARGEST
    if slope(high) <= 0:
        return 1 / _LARGEST
    while high / low > 1 + 1e-9:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    return float(1 / (low * high) ** 0.5)
