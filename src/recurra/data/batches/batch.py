"""What one step of training reads, and the part of it that is one process's."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from recurra.errors import ParameterError

__all__ = ["WHOLE", "Batch", "Share"]


@dataclass(frozen=True)
class Batch:
    """What the module reads, and what the loss compares its output with.

    Attributes:
        inputs: the module's first argument.
        target: the loss's second argument.
        weight: what the loss is a mean over, such as the true steps of the batch; batches that make one update
            together (accumulated, or on several processes) count by it. 0 for a batch that does not count.
        resets: (B, T) bool, before which steps the carried state starts anew; the module's keyword argument
            `resets`. None where it never does.
    """

    inputs: Any
    target: Any
    weight: float = 1.0
    resets: Tensor | None = None


@dataclass(frozen=True)
class Share:
    """The part of every batch that is one process's.

    Args:
        rank: of the process, from 0.
        count: of processes.

    Raises:
        ParameterError: for a rank that is not below the count.
    """

    rank: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.count:
            raise ParameterError("rank", f"a number from 0 to {self.count - 1}", self.rank)

    def of(self, indices: np.ndarray) -> np.ndarray:
        """Every `count`-th of the indices (n,), from `rank` on: all processes together have each once."""
        return indices[self.rank :: self.count]


WHOLE = Share()
