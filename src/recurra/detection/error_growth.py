"""How the size of the errors of forecasts grows with the age of what they were made from."""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["ErrorGrowth"]

_MOST_GROUPS = 24  # of errors, by their age
_FEWEST = 30  # errors of a group
_LEAST = 0.05  # times the typical size

Array = NDArray[np.float64]


class ErrorGrowth(NamedTuple):
    """The typical size of the errors of each channel by the age of its last value, in units of that of all ages.

    Between knots the size is interpolated, and beyond the last it is that of the last: ages of training say no more.

    Attributes:
        knots: (K,), log(1 + age), in order.
        sizes: (K, C), which do not fall with the age.
    """

    knots: Array
    sizes: Array

    @classmethod
    def fit(cls, ages: Array, errors: Array) -> Self:
        """The growth of errors (M, C) with the ages (M, C) of the values that they are forecast from.

        Errors are grouped by age, as many in each group; sizes of a group are the mean absolute ones, made not to fall
        by pooling neighbours (isotonic regression; Ayer et al. 1955). Missing errors are NaN and left out.
        """
        channels = errors.shape[1]
        position, present = np.log1p(ages), np.isfinite(errors)
        every = position[present]
        if not len(every):
            return cls(np.zeros(1), np.ones((1, channels)))
        ranks = np.linspace(0, 1, 1 + max(1, min(_MOST_GROUPS, len(every) // (2 * _FEWEST))))
        edges = np.unique(np.quantile(every, ranks))
        knots = (edges[1:] + edges[:-1]) / 2 if len(edges) > 1 else edges
        sizes = np.ones((len(knots), channels))
        for channel in range(channels):
            own = present[:, channel]
            size, at = abs(errors[own, channel]), position[own, channel]
            typical = float(size.mean()) if len(size) else 0.0
            if not typical:
                continue
            group = np.clip(np.searchsorted(edges, at, side="right") - 1, 0, len(knots) - 1)
            counts = np.bincount(group, minlength=len(knots))
            sums = np.bincount(group, weights=size, minlength=len(knots))
            # A group of few errors is drawn to the typical size, as if it had some of that size besides.
            means = (sums + _FEWEST * typical) / (counts + _FEWEST) / typical
            sizes[:, channel] = np.maximum(_not_falling(means, counts + 1.0), _LEAST)
        return cls(knots, sizes)

    def factors(self, ages: Array) -> Array:
        """The sizes (..., C) that belong to ages (..., C)."""
        at = np.log1p(ages)
        return np.stack([np.interp(at[..., k], self.knots, own) for k, own in enumerate(self.sizes.T)], axis=-1)


def _not_falling(values: NDArray[np.floating], weights: NDArray[np.floating]) -> Array:
    """The sequence (K,) that does not fall and is nearest to the values in squares: neighbours that fall are pooled."""
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        pools.append((value, weight, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (before, heavy, count), (after, light, more) = pools[-2:]
            total = heavy + light
            pools[-2:] = [((before * heavy + after * light) / total, total, count + more)]
    return np.repeat([value for value, _, _ in pools], [count for _, _, count in pools])
