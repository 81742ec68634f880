"""What is forgotten: the effect on the output of replacing inputs that are k steps or more away from it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from recurra.inspection.attribution import ScalarFunction, checked, outputs_at

__all__ = ["Forgetting", "forgetting"]


@dataclass(frozen=True)
class Forgetting:
    """The effect of inputs further away than k steps.

    Attributes:
        lags: (K,), k: how many of the nearest steps were left as they are, from 0 up to all.
        change: (K, B), by how much the output changed: f(x) less f of x with all other steps replaced.
        output: (B,), f(x).
    """

    lags: np.ndarray
    change: np.ndarray
    output: np.ndarray

    @property
    def effect(self) -> np.ndarray:
        """(K,), the mean absolute change over sequences, in the output's unit."""
        return np.abs(self.change).mean(1)

    def reach(self, fraction: float = 0.01) -> int:
        """The least k such that replacing what is further away changes the output by no more than this fraction of what
        replacing everything does, for this k and all larger ones."""
        above = np.flatnonzero(self.effect > fraction * self.effect[0])
        return int(self.lags[min(above[-1] + 1, len(self.lags) - 1)]) if len(above) else 0


def forgetting(
    function: ScalarFunction,
    inputs: Sequence[Tensor],
    baselines: Sequence[Tensor] | None = None,
    most_lags: int = 40,
    distances: Sequence[Tensor] | None = None,
) -> Forgetting:
    """Replace the inputs but the nearest k steps by a baseline, for k from none to all, and see what becomes of the
    output.

    Unlike a gradient this sees what a network has really forgotten: gates that are shut, and values that no longer
    matter.

    Args:
        function: see `integrated_gradients`.
        inputs: see `integrated_gradients`.
        baselines: what replaces a step, (I,) or as the inputs; None: `mean_baselines`.
        most_lags: how many values of k, each one for short sequences, else denser near the output.
        distances: of each input (B, T), how many steps each step is away from the output, from 0, and -1 at padding,
            which is left as it is; if None, they are counted back from the end, the steps of several inputs as one
            sequence.

    Raises:
        ParameterError: see `integrated_gradients`.
        ShapeError: see `integrated_gradients`.
    """
    valid = None if distances is None else [distance >= 0 for distance in distances]
    inputs, baselines = checked(inputs, baselines, valid)
    if distances is None:
        distances = _from_the_end(inputs)
    steps = 1 + max(int(distance.max()) for distance in distances)
    spread = np.concatenate([[0], np.geomspace(1, steps, most_lags)]).round().astype(int)
    lags = np.arange(steps + 1) if steps < most_lags else np.unique(spread)
    output = outputs_at(function, inputs)
    change = []
    for lag in lags:
        # Padding, at -1, is never replaced.
        near = [(distance < int(lag)).unsqueeze(2) for distance in distances]
        mixed = [torch.where(is_near, x, b) for is_near, x, b in zip(near, inputs, baselines, strict=True)]
        change.append(output - outputs_at(function, mixed))
    return Forgetting(lags, np.stack(change), output)


def _from_the_end(inputs: Sequence[Tensor]) -> list[Tensor]:
    """How many steps each step (B, T) of each input is before the last of all."""
    distances = []
    later = sum(x.shape[1] for x in inputs)
    for x in inputs:
        later -= x.shape[1]
        back = later + torch.arange(x.shape[1] - 1, -1, -1, device=x.device)
        distances.append(back.expand(x.shape[:2]))
    return distances
