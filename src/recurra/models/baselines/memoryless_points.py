"""The points of drawings without memory: one density while the pen is down, and one after it was lifted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from recurra.models.pen_mixture import PenMixture, pen_mixture, raw_outputs

__all__ = ["MemorylessPoints", "fit_memoryless_points"]

_COMPONENTS = 20
_MOST_POINTS = 10_000
_POINTS_EACH = 100
_ITERATIONS = 30
_SEED = 0


@dataclass(frozen=True)
class MemorylessPoints:
    """A mixture of normal densities of the next point that knows only whether the pen is down.

    Attributes:
        raw: raw outputs (2, 6 M + 3), of the pen that is down and of the lifted pen; see `pen_mixture`.
        smallest_deviation: see `pen_mixture`.
    """

    raw: Tensor
    smallest_deviation: float

    def density(self, lifted: Tensor) -> PenMixture:
        """The densities after points (...) int64 that say whether the pen is lifted: 0 or 1."""
        return pen_mixture(self.raw[lifted], self.smallest_deviation)


def fit_memoryless_points(strokes: Sequence[np.ndarray], smallest_deviation: float) -> MemorylessPoints:
    """Fit up to 20 components to each of the two kinds of points by expectation-maximisation (Dempster et al. 1977).

    At most 10,000 points of a kind, spread over the drawings, are read; components begin at some of them.

    Args:
        strokes: of each drawing (N, 3), in the units of the network.
        smallest_deviation: see `pen_mixture`.
    """
    offsets = np.concatenate([one[:, :2] for one in strokes]).astype(np.float64)
    # The state of the pen after each point and before it; at the end of each drawing comes the end.
    after = np.concatenate([np.append(one[:, 2], 2) for one in strokes]).astype(np.int64)
    before = np.concatenate([np.insert(one[:, 2], 0, 0) for one in strokes]).astype(np.int64)
    before_offsets = before[after != 2]
    rows = []
    for lifted in (0, 1):
        # One count more of each, so that no state has a probability of 0.
        counts = np.bincount(after[before == lifted], minlength=3) + 1.0
        weights, means, covariances = _fit(offsets[before_offsets == lifted], smallest_deviation)
        rows.append(raw_outputs(weights, means, covariances, counts / counts.sum(), smallest_deviation))
    return MemorylessPoints(torch.stack(rows), smallest_deviation)


def _fit(points: np.ndarray, smallest: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights (M,), means (M, 2) and covariances (M, 2, 2) of points (n, 2), of which there may be none."""
    if len(points) > _MOST_POINTS:
        points = points[np.linspace(0, len(points) - 1, _MOST_POINTS).round().astype(np.int64)]
    if not len(points):
        points = np.zeros((1, 2))
    generator = np.random.default_rng(_SEED)
    # Fewer components for fewer points, each of which then stands in the mixture several times.
    count = min(_COMPONENTS, max(1, len(points) // _POINTS_EACH))
    least = np.eye(2) * (2 * smallest) ** 2
    means = generator.permutation(points)[:count]
    covariances = np.repeat((np.cov(points.T, bias=True) / count + least)[None], count, axis=0)
    weights = np.full(count, 1 / count)
    for _ in range(_ITERATIONS):
        x, y = (points[:, None, axis] - means[:, axis] for axis in (0, 1))
        inverse = np.linalg.inv(covariances)
        exponents = x * (inverse[:, 0, 0] * x + 2 * inverse[:, 0, 1] * y) + inverse[:, 1, 1] * y * y
        scores = np.log(weights) - np.log(np.linalg.det(covariances)) / 2 - exponents / 2
        posterior = np.exp(scores - scores.max(axis=1, keepdims=True))
        posterior /= posterior.sum(axis=1, keepdims=True)
        # A component that explains no point stays where it is and as wide as it is, with next to no weight.
        counts = posterior.sum(axis=0) + 1e-6
        weights = counts / counts.sum()
        before = (covariances - least)[:, [0, 0, 1], [0, 1, 1]] + means[:, [0, 0, 1]] * means[:, [0, 1, 1]]
        means = (posterior.T @ points + 1e-6 * means) / counts[:, None]
        second = (posterior.T @ (points[:, [0, 0, 1]] * points[:, [0, 1, 1]]) + 1e-6 * before) / counts[:, None]
        products = means[:, [0, 0, 1]] * means[:, [0, 1, 1]]
        covariances = (second - products)[:, [[0, 1], [1, 2]]] + least
    repeated = np.arange(_COMPONENTS) % count
    return weights[repeated] / np.bincount(repeated)[repeated], means[repeated], covariances[repeated]
