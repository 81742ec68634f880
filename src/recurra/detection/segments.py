"""The runs of steps at which a series is labelled, or raises an alarm."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["segments_of"]


def segments_of(flags: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first and the last step of each run of true flags, in order.

    Args:
        flags: (T,) bool.

    Returns:
        starts (N,) and ends (N,); a run of one step ends where it starts.
    """
    changes = np.flatnonzero(np.diff(flags, prepend=False, append=False))
    return changes[::2], changes[1::2] - 1
