"""How far confidence can be relied on."""

from dataclasses import dataclass

import numpy as np

__all__ = ["BINS", "Reliability", "reliability"]

BINS = 15
"""Bins of equal width from 0 to 1, as many as Guo et al. (2017) have."""


@dataclass(frozen=True)
class Reliability:
    """Confidence against what came true, by bins of confidence.

    Attributes:
        confidence: the mean in each bin.
        accuracy: the fraction that came true.
        counts: of each bin; bins without any are left out.
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    counts: np.ndarray

    @property
    def expected_calibration_error(self) -> float:
        """The mean distance of confidence and accuracy, 0 to 1 (Guo et al. 2017, equation 3); 0 without any item."""
        total = self.counts.sum()
        return float((self.counts * np.abs(self.confidence - self.accuracy)).sum() / total) if total else 0.0


def reliability(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> Reliability:
    """Compare confidence with what came true, in bins of equal width.

    Args:
        confidence: (N,), from 0 to 1.
        right: (N,), whether it came true.
        bins: at most.
    """
    indices = np.minimum((confidence * bins).astype(int), bins - 1)
    counts = np.bincount(indices, minlength=bins)
    filled = counts > 0
    divisor = counts[filled]
    return Reliability(
        np.bincount(indices, confidence, bins)[filled] / divisor,
        np.bincount(indices, right.astype(float), bins)[filled] / divisor,
        divisor,
    )
