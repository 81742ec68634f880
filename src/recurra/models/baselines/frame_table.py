"""How likely each note is to sound, by whether it sounded at some frames before: learned by counting."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["FrameTable"]

_PRIOR = 4.0  # frames that the average over all notes counts as


@dataclass(frozen=True)
class FrameTable:
    """Independent notes, each with a probability for every combination of its states some frames before.

    Attributes:
        probabilities: (2 ** L, N) for L lags: row 1 for a note that sounded at the first lag alone, row 2 at the second
            alone, and so on.
    """

    probabilities: np.ndarray

    @classmethod
    def fit(cls, rolls: Sequence[np.ndarray], lags: Sequence[Sequence[int]]) -> "FrameTable":
        """Count.

        Args:
            rolls: (T, N) of 0 and 1 each.
            lags: of each roll, the frames back that are looked at; all rolls have as many.
        """
        contexts = 2 ** len(lags[0])
        sounded, counted = np.zeros((2, contexts, rolls[0].shape[1]))
        for roll, own in zip(rolls, lags, strict=True):
            context = _contexts(roll, own)
            for one in range(contexts):
                here = context == one
                sounded[one] += (roll * here).sum(0)
                counted[one] += here.sum(0)
        pooled = (sounded.sum(1) + 0.5) / (counted.sum(1) + 1)
        return cls((sounded + _PRIOR * pooled[:, None]) / (counted + _PRIOR))

    def surprise(self, roll: np.ndarray, lags: Sequence[int]) -> np.ndarray:
        """The surprise of each frame (T,) of a roll (T, N) in nats."""
        chosen = np.take_along_axis(self.probabilities, _contexts(roll, lags), axis=0)
        return -np.log(np.where(roll > 0, chosen, 1 - chosen)).sum(1)


def _contexts(roll: np.ndarray, lags: Sequence[int]) -> np.ndarray:
    """The row of the table for each note of each frame (T, N). Before the first frame there is silence."""
    context = np.zeros(roll.shape, np.int64)
    for bit, lag in enumerate(lags):
        context[lag:] += (roll[:-lag] > 0).astype(np.int64) << bit
    return context
