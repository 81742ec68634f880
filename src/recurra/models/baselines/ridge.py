"""Ridge regression on whole series."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from recurra.data.labelled.series_encoding import SeriesEncoding
from recurra.models.baselines.nearest_neighbour import interpolated

__all__ = ["Ridge", "fit_ridge"]

_MOST_FEATURES = 600
_PENALTIES = np.logspace(-3, 3, 13)  # of features of variance 1, for each series


@dataclass(frozen=True)
class Ridge:
    """A linear function of all steps of a series, interpolated to one length.

    Attributes:
        weight: of each step and channel (L, C).
        bias: what is added.
    """

    weight: Tensor
    bias: float

    def predict(self, encoding: SeriesEncoding, series: Sequence[np.ndarray]) -> np.ndarray:
        """The predictions (Q,) float64 for series, each (T, C)."""
        return _features(encoding, series, len(self.weight)) @ self.weight.double().flatten().numpy() + self.bias


def fit_ridge(encoding: SeriesEncoding, series: Sequence[np.ndarray], target: np.ndarray) -> Ridge:
    """Fit to training series, each (T, C), and their targets (N,).

    The penalty is that of the least squared error of the series, each left out in turn, of 13 from a thousandth to a
    thousand times their number. A series has at most 600 values.
    """
    channels = encoding.num_values
    length = max(1, min(max(map(len, series)), _MOST_FEATURES // channels))
    features = _features(encoding, series, length)
    means, level = features.mean(0), target.mean()
    # Not `solve_ridge`, whose F^2 sums are for more rows than features: here there are often fewer rows.
    left, singular, right = np.linalg.svd(features - means, full_matrices=False)
    along = left.T @ (target - level)
    errors = []
    for penalty in _PENALTIES * len(target):
        shrunk = singular**2 / (singular**2 + penalty)
        # The residual of a series that is left out follows from its leverage, of which the mean has a part.
        leverage = (left**2) @ shrunk + 1 / len(target)
        residuals = target - level - left @ (shrunk * along)
        errors.append(np.mean((residuals / np.maximum(1 - leverage, 1e-6)) ** 2))
    penalty = _PENALTIES[int(np.argmin(errors))] * len(target)
    weight = right.T @ (singular / (singular**2 + penalty) * along)
    return Ridge(torch.from_numpy(weight.reshape(length, channels)), float(level - means @ weight))


def _features(encoding: SeriesEncoding, series: Sequence[np.ndarray], length: int) -> np.ndarray:
    return np.stack([interpolated(encoding, one, length).ravel() for one in series]).astype(np.float64)
