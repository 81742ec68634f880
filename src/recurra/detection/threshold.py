"""Thresholds that follow a stream of scores: the interface, and the forms of their arguments and states."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from recurra.errors import ParameterError, ShapeError

__all__ = ["Threshold"]

_FEWEST = 20
# The adaptive probability stays within this factor of the stated one: a long anomaly must not silence what follows.
_MOST_ADAPTED = 10.0


@dataclass
class Threshold(ABC):
    """The threshold that clean scores of N series exceed with a stated probability, each series its own.

    Calibrate on initial scores, then call `step` with the scores as they come. A high score is an anomaly. A score is
    judged by those before it alone, and changes the threshold for those after it. Missing scores (NaN) change nothing.

    With `adaptation` each quiet step raises the probability that sets the threshold, and each alarm lowers it (Gibbs
    and Candes, NeurIPS 2021; here its logarithm, within a factor of 10). The rate of alarms then keeps to the stated
    probability although the distribution drifts: any number of steps has at most log(10) / adaptation alarms too many
    or too few, unless that factor is reached. Alarms at consecutive steps are one.

    Args:
        probability: of a clean score above the threshold, a step; see `recurra.detection.budget`.
        adaptation: what one alarm lowers the logarithm of the probability by, such as 0.1. 0: it stays as stated.

    Raises:
        ParameterError: an argument is out of its range.
    """

    state_class: ClassVar[type]

    probability: float
    adaptation: float = 0.0

    def __post_init__(self) -> None:
        self._state: Any = None
        if not 0 < self.probability <= 0.25:
            raise ParameterError("probability", "above 0 and at most 0.25", self.probability)
        if not 0 <= self.adaptation <= 1:
            raise ParameterError("adaptation", "0 to 1", self.adaptation)

    def calibrate(self, scores: ArrayLike) -> Self:
        """Begin with clean scores (S,) of one series, or (S, N), and return this object.

        Scores that are missing or infinite are left out.

        Raises:
            ShapeError: the scores are not of this shape.
            ParameterError: a series has fewer than 20 scores, or fewer than the method needs.
        """
        scores = np.asarray(scores, float)
        if scores.ndim not in (1, 2):
            raise ShapeError("scores", "the shape (S,) or (S, N)", scores.shape)
        columns = scores.reshape(len(scores), -1).T
        finite = [column[np.isfinite(column)] for column in columns]
        fewest = max(_FEWEST, self._fewest())
        for series, column in enumerate(finite):
            if len(column) < fewest:
                raise ParameterError(
                    "scores",
                    f"at least {fewest} finite scores of each series",
                    f"{len(column)} of series {series}",
                    "Calibrate on more steps.",
                )
        self._calibrate(finite)
        return self

    def step(self, scores: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Judge the scores of one step, then learn from those that are no alarms.

        Args:
            scores: (N,), or a number for one series.

        Returns:
            The tail probabilities, that a clean score is as high or higher, NaN for a missing score; and the thresholds
            that the scores were compared with, both of the shape of `scores`. A score above its threshold is an alarm.
        """
        scores = np.asarray(scores, float)
        probability, threshold = self.judge(scores)
        self.follow(scores, threshold)
        return probability, threshold

    def follow(self, scores: ArrayLike, threshold: ArrayLike) -> None:
        """Learn from the scores of a step, which `judge` has compared with its thresholds.

        Args:
            scores: (N,), or a number for one series; NaN for those that nothing is to be learned from.
            threshold: of the same shape.
        """
        values = self._vector(np.asarray(scores, float))
        alarm = values > np.reshape(threshold, -1)
        self._learn(np.where(self._fades(values) & ~alarm, np.nan, values), alarm)
        self._observe(values, alarm)

    def judge(self, scores: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """As `step`, but learn nothing from the scores."""
        scores = np.asarray(scores, float)
        values = self._vector(scores)
        probability = np.where(np.isnan(values), np.nan, self._probability(values))
        return probability.reshape(scores.shape), self._threshold().reshape(scores.shape)

    def run(self, scores: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Call `step` for each of the scores (T,) or (T, N). Both results have that shape."""
        scores = np.asarray(scores, float)
        probability, threshold = np.empty(scores.shape), np.empty(scores.shape)
        for t in range(len(scores)):
            probability[t], threshold[t] = self.step(scores[t])
        return probability, threshold

    def normal(self, scores: ArrayLike) -> None:
        """Take scores as clean that may have been alarms, such as those of an event that a person says was normal.

        Args:
            scores: (K,) of one series, or (K, N); NaN for the series and steps that are not meant.
        """
        for row in np.asarray(scores, float):
            values = self._vector(row)
            self._learn(values, np.zeros(values.shape, bool))
        self._refresh()

    def to_dict(self) -> dict[str, np.ndarray]:
        """Options and state as arrays by name, which `from_dict` reads. They are copies."""
        options = {option.name: np.asarray(getattr(self, option.name)) for option in fields(self)}
        return options | {f"state.{name}": array.copy() for name, array in vars(self._calibrated()).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, np.ndarray]) -> Self:
        """Make the object that `to_dict` was called on; it continues as that would, bit for bit."""
        threshold = cls(**{option.name: values[option.name].item() for option in fields(cls)})
        names = [field.name for field in fields(cls.state_class)]
        threshold._state = cls.state_class(**{name: np.array(values[f"state.{name}"]) for name in names})
        return threshold

    def _calibrated(self) -> Any:
        if self._state is None:
            raise ParameterError("scores", "a calibrated threshold", "none", "Call calibrate first.")
        return self._state

    def _vector(self, scores: np.ndarray) -> np.ndarray:
        values = scores.reshape(-1)
        series = len(self._calibrated().steps)
        if len(values) != series or scores.ndim > 1:
            raise ShapeError("scores", f"({series},), one score for each series", scores.shape)
        return values

    def _observe(self, scores: np.ndarray, alarm: np.ndarray) -> None:
        """Adapt to the scores (N,) of a step, of which some are alarms (N,)."""
        state, observed = self._state, ~np.isnan(scores)
        if self.adaptation:
            limit = np.log(_MOST_ADAPTED)
            begins = alarm & ~state.in_alarm
            change = self.adaptation * (self.probability - begins) * observed
            state.log_factor = np.clip(state.log_factor + change, -limit, limit)
        state.in_alarm = np.where(observed, alarm, state.in_alarm)

    @abstractmethod
    def _fewest(self) -> int:
        """The fewest scores to calibrate on."""

    @abstractmethod
    def _calibrate(self, scores: list[np.ndarray]) -> None:
        """Make the state from the finite scores of each series."""

    @abstractmethod
    def _threshold(self) -> np.ndarray:
        """The thresholds (N,) for the next scores."""

    @abstractmethod
    def _probability(self, scores: np.ndarray) -> np.ndarray:
        """The tail probabilities (N,) of scores (N,). That of a missing score is not used."""

    @abstractmethod
    def _learn(self, scores: np.ndarray, alarm: np.ndarray) -> None:
        """Change the state by scores (N,), of which some are alarms (N,)."""

    def _fades(self, scores: np.ndarray) -> np.ndarray:
        """Whether scores (N,) are still those of an alarm that is fading, of which nothing is learned."""
        return np.zeros(len(scores), bool)

    @abstractmethod
    def _refresh(self) -> None:
        """Let the threshold follow the scores at once."""
