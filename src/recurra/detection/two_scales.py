"""Thresholds for two scores: a slow one that sees stretches, and a fast one that sees single steps."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recurra.detection.peaks_over_threshold import PeaksOverThreshold
from recurra.detection.tail import ScoreTail

__all__ = ["NEVER", "Judgement", "Scales", "TwoScales", "reference_threshold"]

Scales = Literal["both", "slow", "fast"]

_REFERENCE = 1e-4  # the tail probability at which one score is worth as much as the other
_COLUMNS = {"both": [0, 1], "slow": [0], "fast": [1]}
NEVER = 1e30  # the threshold of a score that raises no alarm: finite, and so in single precision


class Judgement(NamedTuple):
    """What two scores say of steps; arrays (T,), or of shape () for one step.

    Attributes:
        score: the slow score, or the fast one in its units, whichever is larger.
        probability: that a normal step has such a score on either scale, corrected for looking twice (Bonferroni).
        threshold: of the scale that the score is from, in the units of the score.
        is_fast: whether the score is the fast one.
        slow_threshold: of the slow score.
        fast_alarm: whether the fast score is beyond its threshold.
    """

    score: NDArray[np.float64]
    probability: NDArray[np.float64]
    threshold: NDArray[np.float64]
    is_fast: NDArray[np.bool_]
    slow_threshold: NDArray[np.float64]
    fast_alarm: NDArray[np.bool_]


def reference_threshold(scores: NDArray[np.float64]) -> float:
    """The score that one normal step of 10,000 exceeds, by those (S,) of normal steps: the unit of different scores."""
    return float(PeaksOverThreshold(_REFERENCE).calibrate(scores).judge(0.0)[1])


class TwoScales:
    """Thresholds for two scores of one series, each with half of the false alarms that are accepted; or for one.

    Args:
        slow: (S,) smoothed scores of normal steps.
        fast: (S,) scores of normal steps, not smoothed.
        probability: of a false alarm, a step.
        adaptation: see `recurra.detection.threshold`.
        floors: (2,), the lowest thresholds of the slow and the fast score, above scores that a person called normal. A
            score below its floor raises none, and thresholds do not follow it if they would call it one.
        scales: which scores raise alarms. One alone has all of the false alarms, and is the score of a step; the
            threshold of the other is `NEVER`.

    Attributes:
        gain: the units of the score of a step in one of the fast score: those of the slow score, or if the fast score
            alone raises alarms, its own.
    """

    def __init__(
        self,
        slow: NDArray[np.float64],
        fast: NDArray[np.float64],
        probability: float,
        adaptation: float = 0.0,
        floors: NDArray[np.float64] | None = None,
        scales: Scales = "both",
    ) -> None:
        self._scales, self._columns = scales, _COLUMNS[scales]
        self._floors = np.zeros(2) if floors is None else floors
        clean = np.stack([slow, fast], axis=1)[:, self._columns]
        of_slow, of_fast = reference_threshold(slow), reference_threshold(fast)
        self.gain = 1.0 if scales == "fast" else of_slow / of_fast if of_fast > 0 else 0.0
        each = probability / len(self._columns)
        self._limits = PeaksOverThreshold(each, adaptation, joint=True).calibrate(clean)

    @property
    def thresholds(self) -> tuple[float, float]:
        """What the next slow and the next fast score are compared with."""
        limits = self._limits.judge(np.zeros(len(self._columns)))[1]
        slow, fast = np.maximum(self._of_both(limits), self._floors).tolist()
        return slow, fast

    @property
    def tails(self) -> tuple[ScoreTail, ...]:
        """Those of the slow and of the fast score, or of the one that raises alarms."""
        return self._limits.tails

    def run(self, slow: NDArray[np.float64], fast: NDArray[np.float64]) -> Judgement:
        """Judge steps (T,) one by one, and let the thresholds follow them."""
        scores = np.stack([slow, fast], axis=1)
        size = len(scores), len(self._columns)
        probabilities, thresholds = np.empty(size), np.empty(size)
        for t, row in enumerate(scores):
            probabilities[t], thresholds[t] = self._step(row)
        return self._judgement(scores, probabilities, thresholds)

    def step(self, slow: float, fast: float) -> Judgement:
        """Judge a step, and let the thresholds follow it."""
        scores = np.array([slow, fast])
        return self._judgement(scores, *self._step(scores))

    def judge(self, slow: float, fast: float) -> Judgement:
        """Judge a step, and learn nothing from it."""
        scores = np.array([slow, fast])
        return self._judgement(scores, *self._limits.judge(scores[self._columns]))

    def _step(self, scores: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Tail probabilities and thresholds of the scores (2,) of a step that count, before these follow them."""
        own = scores[self._columns]
        probabilities, thresholds = self._limits.judge(own)
        called_normal = (own > thresholds) & (own <= self._floors[self._columns])
        self._limits.follow(np.where(called_normal, np.nan, own), thresholds)
        return probabilities, thresholds

    def _judgement(
        self, scores: NDArray[np.float64], probabilities: NDArray[np.float64], thresholds: NDArray[np.float64]
    ) -> Judgement:
        slow, fast = scores[..., 0], scores[..., 1]
        thresholds = np.maximum(self._of_both(thresholds), self._floors)
        is_fast = self.gain * fast > slow if self._scales == "both" else np.full(slow.shape, self._scales == "fast")
        return Judgement(
            np.where(is_fast, self.gain * fast, slow),
            np.minimum(len(self._columns) * probabilities.min(axis=-1), 1.0),
            np.where(is_fast, self.gain * thresholds[..., 1], thresholds[..., 0]),
            is_fast,
            thresholds[..., 0],
            fast > thresholds[..., 1],
        )

    def _of_both(self, thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Thresholds (..., 1 or 2) of the scores that raise alarms as those of both (..., 2)."""
        both = np.full((*thresholds.shape[:-1], 2), NEVER)
        both[..., self._columns] = thresholds
        return both
