"""Thresholds by extreme value theory: what exceeds a high level is generalised Pareto (SPOT and DSPOT)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recurra.detection.tail import ScoreTail, Tail, excess_of, predictive_tail, survival
from recurra.detection.threshold import Threshold
from recurra.errors import ParameterError

__all__ = ["PeaksOverThreshold"]

# Quantiles of calibration scores, for the probabilities of scores below the level.
_QUANTILES = np.linspace(0, 1, 65)
# The tail is at least this much larger than the part of it that is an alarm.
_TAIL_TO_ALARMS = 4
# What is known of a tail before there are any excesses, as if from so many: without it the first clusters of a smoothed
# score, of which training rows often hold two or three, would set a threshold that nothing exceeds.
_CLUSTERS_BEFORE = 10
_INDEPENDENT = 1 / np.e  # an autocorrelation


@dataclass
class _State:
    """Of N series, with C excesses and a window of W scores.

    Attributes:
        steps: (N,) scores counted, calibration included.
        level: (N,) above which the tail begins.
        apart: (N,) steps, from which on scores are hardly correlated with earlier ones.
        quantiles: (N, 65) of the calibration scores.
        excesses: (N, C) over the level, a ring.
        stamps: (N, C) the count of steps at each excess.
        beyond: (N, C) whether the excess is a lower bound, that of an alarm.
        count: (N,) excesses in the ring.
        fresh: (N,) excesses since the last fit.
        rate: (N,) the probability of a score above the level.
        shape: (N,) of the tail.
        scale: (N,) of the tail.
        height: (N,) of the threshold over the level.
        in_alarm: (N,) whether the last score was an alarm.
        fading: (N,) whether no score since the last alarm was below the level.
        quiet: (N,) the count of steps at the last score below the level.
        wrapped: (N,) whether the ring has lost excesses, so that its oldest only says where the span begins.
        log_factor: (N,) of the adaptive probability over the stated one, its logarithm.
        window: (N, W) recent scores that were no alarms, a ring.
        pushed: (N,) scores pushed into the window.
    """

    steps: np.ndarray
    level: np.ndarray
    apart: np.ndarray
    quantiles: np.ndarray
    excesses: np.ndarray
    stamps: np.ndarray
    beyond: np.ndarray
    count: np.ndarray
    fresh: np.ndarray
    rate: np.ndarray
    shape: np.ndarray
    scale: np.ndarray
    height: np.ndarray
    in_alarm: np.ndarray
    fading: np.ndarray
    quiet: np.ndarray
    wrapped: np.ndarray
    log_factor: np.ndarray
    window: np.ndarray
    pushed: np.ndarray


@dataclass
class PeaksOverThreshold(Threshold):
    """Streaming peaks over threshold (Siffer et al., KDD 2017): SPOT, or with a `window` DSPOT for scores that drift.

    The level is a quantile of the calibration scores. The excesses over it are fitted by `predictive_tail`, from which
    follow tail probabilities and threshold far beyond what was seen: few excesses, and those of scores that are alike
    for long, make a threshold that is higher for what they leave open. The size of an alarm does not enter the tail. So
    that leaving alarms out does not lower the threshold step by step, an alarm counts as an excess that is at least its
    threshold, and all alarms together count no more than clean scores would: `probability` times the steps. Nor are the
    scores learned by which an alarm rises from the level and fades to it: smoothed scores pass through all heights
    below the threshold, and would raise it from alarm to alarm. With a `window` they are, as scores that stay high may
    be drift.

    Args:
        window: scores in the moving mean that is subtracted first, alarms left out. 0: none is.
        tail_fraction: of calibration scores above the level; at least 4 times `probability` are.
        capacity: recent excesses that are remembered.
        refit_every: new excesses between fits.
        joint: whether the series are scores of one subject: while an alarm of one lasts or fades, nothing is learned
            from the others either.

    Raises:
        ParameterError: an argument is out of its range.
    """

    state_class: ClassVar[type] = _State

    window: int = 0
    tail_fraction: float = 0.05
    capacity: int = 1000
    refit_every: int = 10
    joint: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.tail_fraction <= 1:
            raise ParameterError("tail_fraction", "above 0 and at most 1", self.tail_fraction)
        for name, least in (("window", 0), ("capacity", 10), ("refit_every", 1)):
            if getattr(self, name) < least:
                raise ParameterError(name, f"at least {least}", getattr(self, name))

    @property
    def tails(self) -> tuple[ScoreTail, ...]:
        """Of each series, the tail that the threshold follows from; with a `window`, of what is over the moving mean.

        Raises:
            ParameterError: nothing was calibrated.
        """
        state = self._calibrated()
        columns = (getattr(state, name).tolist() for name in ("level", "rate", "shape", "scale"))
        return tuple(ScoreTail(level, rate, Tail(*tail)) for level, rate, *tail in zip(*columns, strict=True))

    def _fewest(self) -> int:
        # As many residuals again as scores in the window, and a few of them above the level.
        return 2 * self.window + 20

    def _calibrate(self, scores: list[np.ndarray]) -> None:
        series = len(scores)

        def zeros(*shape: int, dtype: type = float) -> np.ndarray:
            return np.zeros((series, *shape), dtype)

        counts = {name: zeros(dtype=np.int64) for name in ("steps", "apart", "count", "fresh", "quiet", "pushed")}
        floats = {name: zeros() for name in ("level", "rate", "shape", "scale", "height", "log_factor")}
        self._state = state = _State(
            **counts,
            **floats,
            quantiles=zeros(len(_QUANTILES)),
            excesses=zeros(self.capacity),
            stamps=zeros(self.capacity, dtype=np.int64),
            beyond=zeros(self.capacity, dtype=bool),
            in_alarm=zeros(dtype=bool),
            fading=zeros(dtype=bool),
            wrapped=zeros(dtype=bool),
            window=zeros(self.window),
        )
        fraction = max(self.tail_fraction, _TAIL_TO_ALARMS * self.probability)
        for i, values in enumerate(scores):
            residuals = values
            if self.window:
                sums = np.concatenate([[0.0], np.cumsum(values)])
                residuals = values[self.window :] - (sums[self.window : -1] - sums[: -self.window - 1]) / self.window
                state.window[i] = values[-self.window :]
            state.steps[i] = len(residuals)
            state.apart[i] = _correlated_steps(residuals)
            state.quantiles[i] = np.quantile(residuals, _QUANTILES)
            state.level[i] = np.quantile(residuals, 1 - fraction)
            for at in np.flatnonzero(residuals > state.level[i]).tolist():
                self._remember(i, residuals[at] - state.level[i], at + 1)
            self._fit(i)

    def _centre(self) -> np.ndarray | float:
        return self._state.window.mean(axis=1) if self.window else 0.0

    def _threshold(self) -> np.ndarray:
        return self._centre() + self._state.level + self._state.height

    def _probability(self, scores: np.ndarray) -> np.ndarray:
        state = self._state
        excess = scores - self._centre() - state.level
        below = (state.quantiles < (excess + state.level)[:, None]).mean(axis=1)
        probability = np.maximum(state.rate, 1 - below)
        in_tail = excess > 0
        if in_tail.any():  # seldom
            tail = state.rate * survival(excess, state.shape, state.scale)
            probability = np.where(in_tail, tail, probability)
        return probability

    def _learn(self, scores: np.ndarray, alarm: np.ndarray) -> None:
        state = self._state
        learned = np.isfinite(scores)
        excess = scores - self._centre() - state.level
        beyond = state.beyond.sum(axis=1) if alarm.any() else np.zeros(len(scores))
        learned &= ~alarm | (beyond < self.probability * state.steps + 1)
        if not self.window:
            for i in np.flatnonzero(alarm & ~state.fading).tolist():
                self._forget(i, state.quiet[i])
        state.steps += learned
        state.quiet = np.where(learned & (excess <= 0), state.steps, state.quiet)
        for i in np.flatnonzero(learned & (excess > 0)).tolist():
            self._remember(i, state.height[i] if alarm[i] else excess[i], state.steps[i], bool(alarm[i]))
            if state.fresh[i] >= self.refit_every:
                self._fit(i)
        if self.window:
            rows = np.flatnonzero(learned & ~alarm)
            state.window[rows, state.pushed[rows] % self.window] = scores[rows]
            state.pushed[rows] += 1

    def _fades(self, scores: np.ndarray) -> np.ndarray:
        fading = self._fading(scores)
        return np.full(len(scores), fading.any()) if self.joint else fading

    def _fading(self, scores: np.ndarray) -> np.ndarray:
        return self._state.fading & ~(scores <= self._state.level)

    def _observe(self, scores: np.ndarray, alarm: np.ndarray) -> None:
        super()._observe(scores, alarm)
        if not self.window:
            self._state.fading = self._fading(scores) | alarm
        if self.adaptation:
            self._state.height = self._heights()

    def _refresh(self) -> None:
        for i in np.flatnonzero(self._state.fresh).tolist():
            self._fit(i)

    def _remember(self, i: int, excess: float, stamp: int, beyond: bool = False) -> None:
        state = self._state
        slot = state.count[i]
        if slot == self.capacity:
            slot, state.wrapped[i] = state.stamps[i].argmin(), True
        else:
            state.count[i] += 1
        state.excesses[i, slot], state.stamps[i, slot], state.beyond[i, slot] = excess, stamp, beyond
        state.fresh[i] += 1

    def _forget(self, i: int, since: int) -> None:
        """Take the excesses after a count of steps out of the ring.

        They remain if they have replaced most of it: scores that are high for so long are no flank, and what remains
        would say too little of the tail.
        """
        state, count = self._state, self._state.count[i]
        remain = np.flatnonzero(state.stamps[i, :count] <= since)
        if len(remain) < count and not (state.wrapped[i] and len(remain) < self.capacity // 2):
            for ring in (state.excesses, state.stamps, state.beyond):
                ring[i, : len(remain)] = ring[i, remain]
            state.count[i] = len(remain)
            self._fit(i)

    def _fit(self, i: int) -> None:
        state = self._state
        count = state.count[i]
        excesses, beyond = state.excesses[i, :count], state.beyond[i, :count]
        is_full = state.wrapped[i]
        span = state.steps[i] - (state.stamps[i].min() if is_full else 0)
        weight = min(1.0, self.probability * span / max(1, beyond.sum()))
        state.rate[i] = min(1.0, (count - is_full - (1 - weight) * beyond.sum()) / span)
        clusters = 1 + int((np.diff(np.sort(state.stamps[i, :count])) > state.apart[i]).sum())
        ratio = min(0.25, self.probability / max(state.rate[i], self.probability))
        known = clusters + _CLUSTERS_BEFORE
        tail = predictive_tail(excesses[~beyond], known, ratio, excesses[beyond], weight)
        state.shape[i], state.scale[i] = tail
        state.height[i] = self._heights()[i]
        state.fresh[i] = 0

    def _heights(self) -> np.ndarray:
        state = self._state
        probability = self.probability * np.exp(state.log_factor)
        return excess_of(probability / np.maximum(state.rate, probability), state.shape, state.scale)


def _correlated_steps(scores: np.ndarray) -> int:
    """The first lag at which the autocorrelation of scores (S,) is below 1 / e, at most a quarter of them."""
    deviations = scores - np.median(scores)
    # Single huge scores must not hide that all others are alike.
    deviations = np.clip(deviations, *np.quantile(deviations, [0.01, 0.99]))
    deviations -= deviations.mean()
    spectrum = np.fft.rfft(deviations, 2 * len(scores))
    covariances = np.fft.irfft(np.abs(spectrum) ** 2)[: max(1, len(scores) // 4)]
    below = np.flatnonzero(covariances < _INDEPENDENT * covariances[0])
    return int(below[0]) if len(below) else len(covariances)
