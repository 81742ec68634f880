"""The score of the Numenta Anomaly Benchmark (Lavin and Ahmad 2015, IEEE ICMLA), which rewards early alarms."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recurra.detection.metrics.arguments import check_values
from recurra.detection.metrics.descending import descending
from recurra.errors import ParameterError, ShapeError

__all__ = ["NAB_PROFILES", "NabProfile", "NabScore", "NabSeries", "nab_score", "probation"]

_PROBATION, _LONGEST_PROBATION = 0.15, 750


@dataclass(frozen=True)
class NabProfile:
    """What a detector earns and pays.

    Attributes:
        detected: for a window with an alarm at its start.
        false_alarm: what an alarm far from any window costs.
        missed: what a window without an alarm costs.
    """

    detected: float
    false_alarm: float
    missed: float


# NAB's own profiles by its names.
NAB_PROFILES = {
    "standard": NabProfile(1.0, 0.11, 1.0),
    "reward_low_FP_rate": NabProfile(1.0, 0.22, 1.0),
    "reward_low_FN_rate": NabProfile(1.0, 0.11, 2.0),
}


@dataclass(frozen=True)
class NabSeries:
    """The scores of one series, and its windows.

    Attributes:
        scores: (T,) float, higher at steps that are more anomalous.
        windows: the first and the last step of each window, in order and apart; times, if there are times.
        times: (T,), of the steps; None: a window's steps are indices from 0 on.
    """

    scores: ArrayLike
    windows: Sequence[tuple[Any, Any]]
    times: ArrayLike | Sequence[Any] | None = None


@dataclass(frozen=True)
class NabScore:
    """The score of a detector over a corpus.

    Attributes:
        score: 0 for a detector without alarms, 100 for one with an alarm at the start of each window and no other;
            many false alarms make it negative.
        raw: the same before it is normalised.
        threshold: a score of at least this raises an alarm; infinite: no alarm at all scores best.
    """

    score: float
    raw: float
    threshold: float


def probation(steps: int) -> int:
    """The first steps of a series, which NAB does not score: 15 % of them, at most 750."""
    return min(int(_PROBATION * steps), _LONGEST_PROBATION)


def nab_score(
    series: Sequence[NabSeries], profile: str | NabProfile = "standard", threshold: float | None = None
) -> NabScore:
    """The score of NAB over a corpus, at one threshold for all series.

    The first alarm in a window counts by how early it is; more alarms in it count nothing. An alarm elsewhere costs by
    how far it is behind the last window. The first 15 % of a series, at most 750 steps, are not scored.

    Args:
        series: the corpus.
        profile: a name in `NAB_PROFILES`, or what detectors earn and pay.
        threshold: a score of at least this raises an alarm. None: the threshold with the best score, as NAB has it. It
            is chosen with the labels, so that detectors compare by their scores alone.

    Raises:
        ShapeError: the scores of a series are not one-dimensional, or there are none, or its times are not as many.
        ParameterError: the profile is not a name of one, a score is NaN, a window is not in its series or not apart
            from the one before, or no window has a step that is scored.
    """
    if isinstance(profile, str):
        if profile not in NAB_PROFILES:
            raise ParameterError("profile", f"one of {', '.join(NAB_PROFILES)}, or a NabProfile", profile)
        profile = NAB_PROFILES[profile]
    parts = [_changes(one, profile, f"series[{index}]") for index, one in enumerate(series)]
    windows = sum(count for *_, count in parts)
    if not windows:
        raise ParameterError("series", "at least one window with a step that is scored", "none", "Label the corpus.")
    scores, changes = (np.concatenate(columns) for columns in list(zip(*parts, strict=True))[:2])
    order, stops = descending(scores)
    thresholds = np.append(np.inf, scores[order[stops]])
    without_alarms = -windows * profile.missed
    totals = without_alarms + np.append(0.0, changes[order].cumsum()[stops])
    if threshold is None:
        best = int(totals.argmax())
        threshold = float(thresholds[best])
    else:
        best = np.count_nonzero(thresholds[1:] >= threshold)
    raw = float(totals[best])
    score = 100 * (raw - without_alarms) / (windows * profile.detected - without_alarms)
    return NabScore(score, raw, threshold)


def _changes(one: NabSeries, profile: NabProfile, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """What each scored step adds to the total when the threshold falls to its score.

    Returns:
        the scores (S,) after the probation, the changes (S,), and the number of windows that reach into them.
    """
    scores = check_values(f"{name}.scores", one.scores)
    starts, ends = _bounds(one, len(scores), name)
    gains = _gains(len(scores), starts, ends, profile)
    first = probation(len(scores))
    scored = ends >= first
    for start, end in zip(starts[scored], ends[scored], strict=True):
        window = slice(max(start, first), end + 1)
        order, _ = descending(scores[window])
        # An alarm adds to its window's gain only what earlier alarms at higher thresholds have not earned.
        earned = np.maximum.accumulate(gains[window][order])
        gains[window][order] = np.diff(earned, prepend=-profile.missed)
    return scores[first:], gains[first:], int(scored.sum())


def _bounds(one: NabSeries, steps: int, name: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The indices of the first and of the last step of each window."""
    windows = list(one.windows)
    if one.times is not None:
        times = np.asarray(one.times)
        if times.shape != (steps,):
            raise ShapeError(f"{name}.times", f"shape (T,) = ({steps},), as the scores have", times.shape)
        windows = [(_step_at(times, first, name), _step_at(times, last, name)) for first, last in windows]
    before = -1
    for first, last in windows:
        whole = all(isinstance(step, int | np.integer) for step in (first, last))
        if not whole or not before < first <= last < steps:
            expected = f"steps from 0 to {steps - 1}, in order, each window after the one before"
            raise ParameterError(f"{name}.windows", expected, (first, last), "Join windows that overlap.")
        before = last
    starts, ends = np.array(windows, dtype=np.int64).reshape(-1, 2).T
    return starts, ends


def _step_at(times: NDArray[Any], time: Any, name: str) -> int:
    """The index of the first step at a time. The times of NAB's own files are not in order everywhere."""
    steps = np.flatnonzero(times == (np.datetime64(time) if times.dtype.kind == "M" else time))
    if not len(steps):
        raise ParameterError(f"{name}.windows", "times of the series", time, "A window begins and ends at a step.")
    return int(steps[0])


def _gains(steps: int, starts: NDArray[np.int64], ends: NDArray[np.int64], profile: NabProfile) -> NDArray[np.float64]:
    """What an alarm at each step earns: (T,), positive in windows, and negative elsewhere."""
    gains = np.full(steps, -profile.false_alarm)
    for start, end, following in zip(starts, ends, np.append(starts, steps)[1:], strict=True):
        length = end - start + 1
        inside = np.arange(-length, 0) / length
        gains[start : end + 1] = profile.detected * _falling(inside) / _falling(np.array(-1.0))
        # A window of one step has no length to measure the distance by: what is behind it is far.
        behind = np.arange(1, following - end) / (length - 1) if length > 1 else np.full(following - end - 1, np.inf)
        gains[end + 1 : following] = profile.false_alarm * _falling(behind)
    return gains


def _falling(position: NDArray[np.float64]) -> NDArray[np.float64]:
    """NAB's scaled sigmoid: near 1 at a window's start, -1; 0 at its end, 0; -1 from three lengths behind it on."""
    return np.where(position > 3, -1.0, 2 / (1 + np.exp(5 * np.minimum(position, 3))) - 1)
