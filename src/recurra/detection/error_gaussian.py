"""How unlikely the errors of forecasts are together: one Gaussian over several steps and all channels."""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["ErrorGaussian"]

_RIDGE = 1e-3  # in units of the squared scale of a channel

Array = NDArray[np.float64]


class ErrorGaussian(NamedTuple):
    """A Gaussian over the errors of a row: those of its forecasts one step before, two steps before, and so on.

    Attributes:
        mean: (N * C,), of the next step's errors first.
        precision: (N * C, N * C), the inverse of their covariance.
    """

    mean: Array
    precision: Array

    @classmethod
    def fit(cls, errors: Array) -> Self:
        """The Gaussian of errors (T, N * C), in which missing ones count as 0."""
        filled = np.nan_to_num(errors)
        mean, size = filled.mean(axis=0), filled.shape[1]
        covariance = (filled - mean).T @ (filled - mean) / max(1, len(filled) - 1)
        return cls(mean, np.linalg.inv(covariance + _RIDGE * np.eye(size)))

    def variances(self, channels: int) -> Array:
        """The variances (C,) of the errors of the next step."""
        return np.linalg.inv(self.precision).diagonal()[:channels].astype(np.float64)

    def parts(self, errors: Array, channels: int) -> Array:
        """What each channel adds to the squared Mahalanobis distance of errors (T, N * C), over their number: (T, C).

        The distance is that of the errors that are there: a missing one is what the others make of it, and adds
        nothing.
        """
        deviations = self.completed(errors - self.mean)
        terms = deviations * (deviations @ self.precision) / len(self.mean)
        return terms.reshape(len(errors), -1, channels).sum(axis=1)

    def next_step_parts(self, errors: Array, beyond: Array) -> Array:
        """What each channel adds to the squared distance of the errors of the next step alone, over C: (T, C).

        Args:
            errors: (T, N * C), NaN if missing.
            beyond: (T, C), what is added to the errors of the next step.
        """
        channels = beyond.shape[1]
        deviations = self.completed(errors - self.mean)[:, :channels] + beyond
        weights = np.linalg.inv(np.linalg.inv(self.precision)[:channels, :channels])
        return deviations * (deviations @ weights) / channels

    def completed(self, deviations: Array) -> Array:
        """Deviations (T, N * C) from the mean, with their conditional means in place of missing ones.

        Row by row, and not all rows with the same ones missing in one product, which rounds by their number: a row
        would depend on later ones in its last bit.
        """
        completed, missing = deviations.copy(), np.isnan(deviations)
        incomplete = np.flatnonzero(missing.any(axis=1))
        patterns, of_row = np.unique(missing[incomplete], axis=0, return_inverse=True)
        for index, absent in enumerate(patterns):
            blocks = self.precision[np.ix_(absent, absent)], -self.precision[np.ix_(absent, ~absent)]
            regression = np.linalg.solve(*blocks)
            for row in incomplete[of_row.reshape(-1) == index].tolist():
                completed[row, absent] = regression @ deviations[row, ~absent]
        return completed
