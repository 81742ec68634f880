"""Steps whose results do not depend on which other sessions are in the batch."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.streaming import ChunkStepper, Stepper, StreamState

__all__ = ["EvenChunks", "EvenRows"]

_ROWS = 8


class EvenRows:
    """A stepper in float32 that always computes a multiple of 8 rows.

    The engine sums the products of very few rows in another order than those of many, which differs in the last bits.
    With 8 rows or a multiple, each row is summed in one order, whatever the others are.

    Args:
        stepper: whose batches are filled up.
    """

    def __init__(self, stepper: Stepper | ChunkStepper) -> None:
        self._stepper = stepper
        self.new_state, self.read_state = stepper.new_state, stepper.read_state

    def __call__(self, x: NDArray[Any], state: StreamState) -> tuple[NDArray[np.float32], StreamState]:
        """As the stepper, of inputs (T, B, I) or ids (T, B)."""
        if not state.rows % _ROWS:
            return self._stepper(x, state)
        filled, extra = _filled(state)
        y, _ = self._stepper(np.concatenate([x, np.repeat(x[:, :1], extra, axis=1)], axis=1), filled)
        state.values[:] = filled.values[: state.rows]
        return y[:, : state.rows], state


class EvenChunks(EvenRows):
    """The same of a stepper that looks ahead."""

    def __init__(self, stepper: ChunkStepper) -> None:
        super().__init__(stepper)
        self.num_pending, self.next_index, self._finish = stepper.num_pending, stepper.next_index, stepper.finish

    def finish(self, state: StreamState) -> NDArray[np.float32]:
        """As the stepper."""
        filled, _ = _filled(state)
        y = self._finish(filled)
        state.values[:] = filled.values[: state.rows]
        return y[:, : state.rows]


def _filled(state: StreamState) -> tuple[StreamState, int]:
    """The state with the first sequence once more as often as is missing, and how often that is."""
    rows, extra = state.rows, -state.rows % _ROWS
    return state.select([*range(rows), *[0] * extra]), extra
