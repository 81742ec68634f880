"""Steps whose results do not depend on which other sessions are in the batch."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.streaming import Stepper, StreamState

__all__ = ["EvenRows"]

_ROWS = 8


class EvenRows:
    """A stepper in float32 that always computes a multiple of 8 rows.

    The engine sums the products of very few rows in another order than those of many, which differs in the last bits.
    With 8 rows or a multiple, each row is summed in one order, whatever the others are.

    Args:
        stepper: whose batches are filled up.
    """

    def __init__(self, stepper: Stepper) -> None:
        self._stepper = stepper
        self.new_state, self.read_state, self.program = stepper.new_state, stepper.read_state, stepper.program

    def __call__(self, x: NDArray[Any], state: StreamState) -> tuple[NDArray[np.float32], StreamState]:
        """As the stepper, of inputs (T, B, I) or ids (T, B)."""
        rows, extra = state.rows, -state.rows % _ROWS
        if not extra:
            return self._stepper(x, state)
        filled = state.select([*range(rows), *[0] * extra])
        y, _ = self._stepper(np.concatenate([x, np.repeat(x[:, :1], extra, axis=1)], axis=1), filled)
        state.values[:] = filled.values[:rows]
        return y[:, :rows], state
