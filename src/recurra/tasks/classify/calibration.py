"""Confidence that means what it says: temperature scaling, and how far off it is."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Reliability", "fit_temperature", "reliability"]

_LARGEST = 20.0


def fit_temperature(logits: np.ndarray, target: np.ndarray) -> float:
    """The temperature T for which the probabilities of logits / T fit best (Guo et al. 2017, section 4.2).

    A few items that are all told apart would leave no doubt at all: they count as if there were one more of them, of
    which any label may be true (so Platt 1999 smooths targets). T is kept from 1/20 to 20.

    Args:
        logits: (N, K), of items that the model was not trained on.
        target: the numbers (N,) of their labels, or with several labels (N, K) of 0 and 1.

    Returns:
        T; 1 where there are no items.
    """
    if not len(logits):
        return 1.0
    logits = logits.astype(np.float64)
    doubt = 1 / (len(logits) + 1)
    if target.ndim == 2:
        told = (target * (1 - doubt) + doubt / 2) * logits
    else:
        told = (1 - doubt) * logits[np.arange(len(logits)), target] + doubt * logits.mean(1)

    def slope(inverse: float) -> float:
        """Of the mean loss in 1 / T, in which it is convex."""
        scaled = inverse * logits
        if target.ndim == 2:
            return float((logits / (1 + np.exp(-np.clip(scaled, -700, 700))) - told).mean())
        shares = np.exp(scaled - scaled.max(1, keepdims=True))
        shares /= shares.sum(1, keepdims=True)
        return float(((shares * logits).sum(1) - told).mean())

    low, high = 1 / _LARGEST, _LARGEST
    if slope(low) >= 0:
        return _LARGEST
    if slope(high) <= 0:
        return 1 / _LARGEST
    while high / low > 1 + 1e-9:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    return float(1 / (low * high) ** 0.5)


@dataclass(frozen=True)
class Reliability:
    """Confidence against what came true, by bins of confidence.

    Attributes:
        confidence: the mean in each bin.
        accuracy: the share that came true.
        counts: of each bin; bins without any are left out.
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    counts: np.ndarray

    @property
    def expected_calibration_error(self) -> float:
        """The mean distance of confidence and accuracy (Naeini et al. 2015); 0 where there is nothing."""
        total = self.counts.sum()
        return float((self.counts * np.abs(self.confidence - self.accuracy)).sum() / total) if total else 0.0


def reliability(confidence: np.ndarray, right: np.ndarray, bins: int = 10) -> Reliability:
    """Bins of equal width.

    Args:
        confidence: (N,), from 0 to 1.
        right: (N,), whether it came true.
        bins: at most.
    """
    numbers = np.minimum((confidence * bins).astype(int), bins - 1)
    counts = np.bincount(numbers, minlength=bins)
    filled = counts > 0
    divisor = counts[filled]
    return Reliability(
        np.bincount(numbers, confidence, bins)[filled] / divisor,
        np.bincount(numbers, right.astype(float), bins)[filled] / divisor,
        divisor,
    )
