"""One training batch, and the part of it that one process reads."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from recurra.errors import ParameterError

__all__ = ["WHOLE", "Batch", "Partition"]


@dataclass(frozen=True)
class Batch:
    """The input of the module and the target of the loss.

    Attributes:
        inputs: the module's first argument.
        target: the loss's second argument.
        weight: the number of terms that the loss averages, such as the valid steps of the batch. Batches of one update
            (accumulated, or on several processes) are weighted by it. A batch of weight 0 is ignored.
        resets: (B, T) bool, true at the steps before which the carried state is reset; the module's keyword argument
            `resets`. None: the state is never reset.
    """

    inputs: Any
    target: Any
    weight: float = 1.0
    resets: Tensor | None = None


@dataclass(frozen=True)
class Partition:
    """The part of every batch that one process reads.

    Args:
        rank: the rank of this process, from 0.
        count: the number of processes.

    Raises:
        ParameterError: the rank is negative, or not below the count.
    """

    rank: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.count:
            raise ParameterError("rank", f"a number from 0 to {self.count - 1}", self.rank)

    def of(self, indices: np.ndarray) -> np.ndarray:
        """Every `count`-th of the indices (n,), starting at `rank`. Each index belongs to exactly one process."""
        return indices[self.rank :: self.count]


WHOLE = Partition()
