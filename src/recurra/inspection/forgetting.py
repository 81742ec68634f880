"""What is forgotten: the effect on the output of replacing inputs older than k steps."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from recurra.inspection.attribution import ScalarFunction, checked, outputs_at

__all__ = ["Forgetting", "forgetting"]


@dataclass(frozen=True)
class Forgetting:
    """The effect of inputs older than k steps.

    Attributes:
        lags: (K,), k: how many of the last steps were left as they are, from 0 up to T.
        change: (K, B), by how much the output changed: f(x) less f of x with all older steps replaced.
        output: (B,), f(x).
    """

    lags: np.ndarray
    change: np.ndarray
    output: np.ndarray

    @property
    def effect(self) -> np.ndarray:
        """(K,), the mean absolute change over sequences, in the output's unit."""
        return np.abs(self.change).mean(1)

    def reach(self, share: float = 0.01) -> int:
        """The least k such that replacing what is older changes the output by no more than this share of what replacing
        everything does, for this k and all larger ones."""
        above = np.flatnonzero(self.effect > share * self.effect[0])
        return int(self.lags[min(above[-1] + 1, len(self.lags) - 1)]) if len(above) else 0


def forgetting(
    function: ScalarFunction,
    inputs: Sequence[Tensor],
    baselines: Sequence[Tensor] | None = None,
    most_lags: int = 40,
) -> Forgetting:
    """Replace the inputs older than k steps by a baseline, for k from none to all, and see what becomes of the output.

    Unlike a gradient this sees what a network has really forgotten: gates that are shut, and values that no longer
    matter. The steps of several inputs are counted as one sequence, the last of the last input being the latest.

    Args:
        function: as of `integrated_gradients`.
        inputs: as of `integrated_gradients`.
        baselines: what replaces a step, (I,) or as the inputs; `mean_baselines` where None.
        most_lags: how many values of k, each one for short sequences, else denser near the end.

    Raises:
        ParameterError: as of `integrated_gradients`.
        ShapeError: as of `integrated_gradients`.
    """
    inputs, baselines = checked(inputs, baselines)
    steps = sum(x.shape[1] for x in inputs)
    spread = np.concatenate([[0], np.geomspace(1, steps, most_lags)]).round().astype(int)
    lags = np.arange(steps + 1) if steps < most_lags else np.unique(spread)
    output = outputs_at(function, inputs)
    change = [output - outputs_at(function, _replaced(inputs, baselines, int(lag))) for lag in lags]
    return Forgetting(lags, np.stack(change), output)


def _replaced(inputs: tuple[Tensor, ...], baselines: tuple[Tensor, ...], kept: int) -> list[Tensor]:
    """The inputs with all but the last `kept` steps replaced."""
    found = []
    later = sum(x.shape[1] for x in inputs)
    for x, baseline in zip(inputs, baselines, strict=True):
        later -= x.shape[1]
        here = min(max(kept - later, 0), x.shape[1])
        cut = x.shape[1] - here
        found.append(torch.cat([baseline[:, :cut], x[:, cut:]], dim=1))
    return found
