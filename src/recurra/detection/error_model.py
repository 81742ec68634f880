"""What is stored of the errors of networks on normal rows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recurra.detection.error_gaussian import ErrorGaussian
from recurra.detection.error_growth import ErrorGrowth

__all__ = ["ErrorModel", "Member"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Member:
    """The errors of one network on normal rows, and what they count in the scores.

    Attributes:
        mean: (N * C,) of the errors, the next step's first; of an autoencoder, N is 1.
        precision: (N * C, N * C), the inverse of their covariance.
        warm_up: first rows of a series that are not judged, because the network has no past yet; an int64 scalar.
        weights: (2,) of its squared distances, slow and fast, in the scores; of one network alone both are 1.
        knots: (K,), and
        sizes: (K, C): of the growth of the errors with the age of what they were forecast from, by which errors are
            divided first. None: they are not.
    """

    mean: Array
    precision: Array
    warm_up: NDArray[np.int64]
    weights: Array
    knots: Array | None = None
    sizes: Array | None = None

    @property
    def gaussian(self) -> ErrorGaussian:
        """That of the errors."""
        return ErrorGaussian(self.mean, self.precision)

    @property
    def growth(self) -> ErrorGrowth | None:
        """That of the errors with age. None: they are not divided by it."""
        return None if self.knots is None or self.sizes is None else ErrorGrowth(self.knots, self.sizes)


@dataclass(frozen=True)
class ErrorModel:
    """The errors of normal rows, and the scores that follow from them.

    Attributes:
        members: of each network.
        scores: (S,) smoothed scores of rows that the network was not trained on, or of all if these are few.
        hindsight_scores: (S,) of the same rows, smoothed in both directions.
        fast_scores: (S,) of the same rows, not smoothed.
        usual: a float64 scalar, which nine of ten short means of normal rows are below; an alarm ends below it.
        baselines: (2, M, S) what simple detectors say of the training rows, causal and in hindsight.
    """

    members: tuple[Member, ...]
    scores: Array
    hindsight_scores: Array
    fast_scores: Array
    usual: Array
    baselines: Array
