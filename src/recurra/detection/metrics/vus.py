"""Volumes under the surface of curves that forgive a score for being near an event, as the TSB-AD benchmark has them.

Paparrizos, Boniol, Palpanas, Tsay, Elmore and Franklin (2022), Volume Under the Surface: A New Accuracy Evaluation
Measure for Time-Series Anomaly Detection, PVLDB 15(11). Liu and Paparrizos (2024), The Elephant in the Room: Towards A
Reliable Time-Series Anomaly Detection Benchmark, NeurIPS: TSB-AD.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recurra.detection.metrics.arguments import check_both_labels, check_scores
from recurra.detection.segments import segments_of
from recurra.errors import ParameterError

__all__ = ["Volumes", "volumes_under_surface"]


@dataclass(frozen=True)
class Volumes:
    """The volumes under the surfaces of one series, from 0 to 1; 1 is best.

    Attributes:
        roc: VUS-ROC.
        pr: VUS-PR.
    """

    roc: float
    pr: float


def volumes_under_surface(labels: ArrayLike, scores: ArrayLike, window: int, thresholds: int = 250) -> Volumes:
    """VUS-ROC and VUS-PR, exactly as the TSB-AD benchmark computes them.

    For each width w from 0 to `window`, events reach w // 2 steps further on both sides, with a label that falls as
    sqrt(1 - distance / w); where events reach the same step, their labels add up to at most 1. At each threshold,
    recall is multiplied by the fraction of events that have an alarm, and the number of anomalous steps is the mean of
    the labelled steps and of those that count. The volume is the mean over w of the area under the curve.

    Args:
        labels: (T,) bool, true at anomalous steps, with both kinds of steps.
        scores: (T,) float, higher at steps that are more anomalous; a step raises an alarm from the threshold on.
        window: the largest width, in steps; TSB-AD takes the `period` of the series.
        thresholds: how many quantiles of the scores are thresholds; TSB-AD takes 250.

    Raises:
        ShapeError: labels and scores are not both (T,).
        ParameterError: a label is neither 0 nor 1, all labels are the same, a score is NaN, the window is negative, or
            there are fewer than two thresholds.
    """
    true, values = check_scores(labels, scores)
    check_both_labels(true)
    for name, value, least in (("window", window, 0), ("thresholds", thresholds, 2)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise ParameterError(name, f"a whole number of at least {least}", value)
    levels = _levels(values, thresholds)
    starts, ends = segments_of(true)
    reaches = np.arange(window + 1) // 2
    alarms = _alarms_by_level(levels, thresholds)
    in_events = _alarms_by_level(levels[true], thresholds)
    beside_events = _weights_beside_events(true, levels, starts, ends, window, thresholds)
    reached = np.stack(
        [_events_with_alarm(levels, starts, ends, reach, thresholds) for reach in range(window // 2 + 1)]
    )

    hits = in_events + beside_events
    positives = (2 * true.sum() + beside_events) / 2
    true_rate = np.minimum(hits / positives, 1) * reached[reaches]
    false_rate = (alarms - hits) / (len(true) - positives)
    precision = hits / alarms
    return Volumes(roc=_roc_area(true_rate, false_rate), pr=_pr_area(true_rate, precision))


def _levels(scores: NDArray[np.float64], thresholds: int) -> NDArray[np.int64]:
    """By step, the index of the highest threshold that the score reaches. The thresholds fall from index to index."""
    falling = -np.sort(-scores)
    limits = falling[np.linspace(0, len(scores) - 1, thresholds).astype(np.int64)]
    return np.searchsorted(-limits, -scores)


def _alarms_by_level(
    levels: NDArray[np.int64], thresholds: int, weights: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """The number, or the sum of the weights, of the steps that raise an alarm at each threshold."""
    return np.bincount(levels, weights, thresholds).cumsum().astype(np.float64)


def _weights_beside_events(
    labels: NDArray[np.bool_],
    levels: NDArray[np.int64],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    window: int,
    thresholds: int,
) -> NDArray[np.float64]:
    """By width and threshold, the sum of the labels of steps that raise an alarm and that events reach: (W + 1, K)."""
    steps = np.flatnonzero(~labels)
    following = np.searchsorted(starts, steps)
    # The two nearest events on either side; what is beyond the series is out of reach.
    far = len(labels) + window + 1
    right = np.concatenate((starts, (far, far)))[[following, following + 1]] - steps
    left = steps - np.concatenate(((-far, -far), ends))[[following + 1, following]]
    nearest = np.minimum(right[0], left[0])
    second = np.minimum(np.maximum(right[0], left[0]), np.minimum(right[1], left[1]))
    order = np.argsort(nearest, kind="stable")[: np.count_nonzero(nearest <= window // 2)]
    nearest, second, levels = nearest[order], second[order], levels[steps[order]]
    sums = np.zeros((window + 1, thresholds))
    for width in range(2, window + 1):
        reach = width // 2
        fading = np.sqrt(1 - np.arange(reach + 1) / width)
        near = nearest[: np.searchsorted(nearest, reach, side="right")]
        # A label within reach is at least sqrt(1/2): two of them add up to more than 1.
        weights = np.where(second[: len(near)] <= reach, 1.0, fading[near])
        sums[width] = _alarms_by_level(levels[: len(near)], thresholds, weights)
    return sums


def _events_with_alarm(
    levels: NDArray[np.int64], starts: NDArray[np.int64], ends: NDArray[np.int64], reach: int, thresholds: int
) -> NDArray[np.float64]:
    """By threshold, the fraction of events with an alarm, if events that reach each other count as one: (K,)."""
    apart = starts[1:] - ends[:-1] > 2 * reach
    firsts = np.maximum(starts[np.concatenate(((True,), apart))] - reach, 0)
    lasts = np.minimum(ends[np.concatenate((apart, (True,)))] + reach, len(levels) - 1)
    bounds = np.stack((firsts, lasts + 1), axis=1).ravel()
    # An index of reduceat may not be the length: a level is appended, which is in none of the ranges.
    highest = np.minimum.reduceat(np.append(levels, thresholds), bounds)[::2]
    return _alarms_by_level(highest, thresholds) / len(firsts)


def _roc_area(true_rate: NDArray[np.float64], false_rate: NDArray[np.float64]) -> float:
    """The mean over widths of the area under the curve from (0, 0) to (1, 1), by trapezoids."""
    true_rate, false_rate = (np.pad(rate, ((0, 0), (1, 1)), constant_values=(0, 1)) for rate in (true_rate, false_rate))
    heights = (true_rate[:, 1:] + true_rate[:, :-1]) / 2
    return float((np.diff(false_rate) * heights).sum(axis=1).mean())


def _pr_area(true_rate: NDArray[np.float64], precision: NDArray[np.float64]) -> float:
    """The mean over widths of the average precision: that at each threshold, weighted by the recall it adds."""
    return float((np.diff(true_rate, prepend=0) * precision).sum(axis=1).mean())
