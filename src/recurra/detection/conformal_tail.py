"""Thresholds by rank: the conformal p-value of a score among recent ones."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recurra.detection.threshold import Threshold
from recurra.errors import ParameterError

__all__ = ["ConformalTail"]


@dataclass
class _State:
    """Of N series, with a buffer of C scores.

    Attributes:
        steps: (N,) scores learned; the next one replaces that at steps % C.
        buffer: (N, C) recent scores, a ring.
        ordered: (N, C) the same in ascending order; infinite beyond the count.
        in_alarm: (N,) whether the last score was an alarm.
        log_factor: (N,) of the adaptive probability over the stated one, its logarithm.
    """

    steps: np.ndarray
    buffer: np.ndarray
    ordered: np.ndarray
    in_alarm: np.ndarray
    log_factor: np.ndarray


@dataclass
class ConformalTail(Threshold):
    """Streaming conformal p-values over recent scores: (1 + the number as high or higher) / (1 + all).

    If the scores are exchangeable, one is an alarm with at most the stated probability, whatever their distribution
    (Vovk et al. 2005). No tail is assumed; no p-value is below 1 / (1 + capacity). Of alarms at consecutive steps only
    the first enters the buffer: without any, the threshold would sink; with all, one long anomaly would hide the next.

    Args:
        capacity: recent scores in the buffer; at least 1 / probability, better ten times as many.

    Raises:
        ParameterError: an argument is out of its range.
    """

    state_class: ClassVar[type] = _State

    capacity: int = 10_000

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.capacity < 1 / self.probability:
            raise ParameterError(
                "capacity",
                f"at least 1 / probability, {int(np.ceil(1 / self.probability))}",
                self.capacity,
                "PeaksOverThreshold needs fewer scores for a low probability.",
            )

    def _fewest(self) -> int:
        return int(np.ceil(1 / self.probability))

    def _calibrate(self, scores: list[np.ndarray]) -> None:
        series = len(scores)
        self._state = state = _State(
            steps=np.zeros(series, np.int64),
            buffer=np.zeros((series, self.capacity)),
            ordered=np.full((series, self.capacity), np.inf),
            in_alarm=np.zeros(series, bool),
            log_factor=np.zeros(series),
        )
        for i, values in enumerate(scores):
            recent = values[-self.capacity :]
            state.steps[i] = len(recent)
            state.buffer[i, : len(recent)] = recent
            state.ordered[i, : len(recent)] = np.sort(recent)

    def _count(self) -> np.ndarray:
        return np.minimum(self._state.steps, self.capacity)

    def _threshold(self) -> np.ndarray:
        state, count = self._state, self._count()
        probability = self.probability * np.exp(state.log_factor)
        # An alarm has a p-value of at most the probability: fewer than this many scores are as high.
        rank = np.minimum((probability * (count + 1)).astype(np.int64), count)
        rows = np.arange(len(count))
        return np.where(rank > 0, state.ordered[rows, np.minimum(count - rank, self.capacity - 1)], np.inf)

    def _probability(self, scores: np.ndarray) -> np.ndarray:
        count = self._count()
        below = np.array([np.searchsorted(row, score) for row, score in zip(self._state.ordered, scores, strict=True)])
        return (1 + count - np.minimum(below, count)) / (1 + count)

    def _learn(self, scores: np.ndarray, alarm: np.ndarray) -> None:
        state = self._state
        for i in np.flatnonzero(np.isfinite(scores) & ~(alarm & state.in_alarm)).tolist():
            self._remember(i, scores[i])

    def _remember(self, i: int, score: float) -> None:
        state = self._state
        slot = state.steps[i] % self.capacity
        row = state.ordered[i]
        # The scores between the old and the new one move by a step.
        out = np.searchsorted(row, state.buffer[i, slot]) if state.steps[i] >= self.capacity else self.capacity - 1
        into = np.searchsorted(row, score)
        if into > out:
            into -= 1
            row[out:into] = row[out + 1 : into + 1]
        else:
            row[into + 1 : out + 1] = row[into:out].copy()
        row[into] = score
        state.buffer[i, slot] = score
        state.steps[i] += 1

    def _refresh(self) -> None:
        return  # the threshold follows the buffer at every step
