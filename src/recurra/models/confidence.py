"""A map from a confidence to the probability that it comes true."""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["ConfidenceMap"]

_LEAST = 1e-6  # distance of a confidence from 0 and 1
_ITERATIONS = 50


@dataclass(frozen=True)
class ConfidenceMap:
    """sigmoid(slope * logit(confidence) + offset) (Platt 1999); a temperature alone is a slope without offset.

    The order of confidences stays.

    Attributes:
        slope: 0 or more.
        offset: in logits.
    """

    slope: float = 1.0
    offset: float = 0.0

    @classmethod
    def fit(cls, confidence: np.ndarray, right: np.ndarray) -> Self:
        """The map of the greatest likelihood, by Newton's method with Platt's smoothed targets.

        Args:
            confidence: (N,), from 0 to 1, of predictions that the model was not trained on.
            right: (N,), whether they came true.

        Returns:
            The map; that which changes nothing if N is 0.
        """
        if not len(confidence):
            return cls()
        x, trues = _logits(confidence), int(np.sum(right))
        # Without doubt in the targets the best slope for separable data is infinite.
        target = np.where(right, (trues + 1) / (trues + 2), 1 / (len(x) - trues + 2))
        for inputs in (np.stack([x, np.ones_like(x)]), np.ones((1, len(x)))):
            weights = np.zeros(len(inputs))
            for _ in range(_ITERATIONS):
                probability = 1 / (1 + np.exp(-np.clip(weights @ inputs, -30, 30)))
                curvature = (inputs * (probability * (1 - probability) + _LEAST)) @ inputs.T
                step = np.linalg.lstsq(curvature, inputs @ (target - probability))[0]
                weights += step * min(1.0, 4 / max(float(np.abs(step).max()), _LEAST))
                if np.abs(step).max() < _LEAST:
                    break
            if len(weights) == 2 and weights[0] >= 0:
                return cls(float(weights[0]), float(weights[1]))
        # Confidence is the lower, the more often it comes true: it says nothing.
        return cls(0.0, float(weights[0]))

    def __call__(self, confidence: float) -> float:
        """The probability that a prediction with this confidence comes true."""
        return 1 / (1 + math.exp(-max(min(self.slope * float(_logits(confidence)) + self.offset, 700.0), -700.0)))


def _logits(confidence: ArrayLike) -> NDArray[np.float64]:
    clipped = np.clip(np.asarray(confidence, np.float64), _LEAST, 1 - _LEAST)
    return np.log(clipped) - np.log1p(-clipped)
