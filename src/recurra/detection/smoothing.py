"""Scores smoothed over time."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["ExponentialMean", "smoothed"]


class ExponentialMean:
    """The mean of the values so far, with weights that fall by a factor e every `steps` steps, from 0 at the start.

    Args:
        steps: the time constant, above 0.
    """

    def __init__(self, steps: float) -> None:
        self.keep = float(np.exp(-1 / steps))

    def run(self, values: NDArray[np.float64], before: NDArray[np.float64] | float = 0.0) -> NDArray[np.float64]:
        """The means (T, ...) of values (T, ...), after the mean `before` (...)."""
        means, mean = np.empty_like(values), before
        keep, take = self.keep, 1 - self.keep
        for step, value in enumerate(values):
            mean = keep * mean + take * value
            means[step] = mean
        return means


def smoothed(values: NDArray[np.float64], steps: float, hindsight: bool = False) -> NDArray[np.float64]:
    """The exponential means (T, ...) of values (T, ...); in hindsight, then once more from the end."""
    mean = ExponentialMean(steps)
    forward = mean.run(values)
    # From the end the first mean is the last one forward: the end of the data is not the end of an anomaly.
    return mean.run(forward[::-1], forward[-1])[::-1] if hindsight and len(values) else forward
