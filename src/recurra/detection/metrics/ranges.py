"""Precision and recall of ranges, which weigh how much of an event is covered, where, and in how many pieces."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recurra.detection.metrics.arguments import check_alarms
from recurra.detection.metrics.precision_recall import PrecisionRecall
from recurra.detection.segments import segments_of
from recurra.errors import ParameterError
from recurra.shapes import check_probability

__all__ = ["Bias", "Cardinality", "range_scores"]

Bias = Literal["flat", "front", "middle", "back"]
Cardinality = Literal["reciprocal", "one"]

# By bias, the weight of the steps of a range: their positions from 1 on, and the range's length.
_WEIGHTS = {
    "flat": lambda position, length: np.ones(len(position)),
    "front": lambda position, length: length - position + 1,
    "middle": lambda position, length: np.minimum(position, length - position + 1),
    "back": lambda position, length: position,
}
# By cardinality, the factor for an overlap with so many ranges.
_FACTORS = {"reciprocal": lambda overlaps: 1 / np.maximum(overlaps, 1), "one": lambda overlaps: np.ones(len(overlaps))}


def range_scores(
    labels: ArrayLike,
    alarms: ArrayLike,
    *,
    existence_weight: float = 0.2,
    bias: Bias = "flat",
    alarm_bias: Bias = "flat",
    cardinality: Cardinality = "reciprocal",
) -> PrecisionRecall:
    """Range-based precision and recall (Tatbul, Lee, Zdonik, Alam and Gottschlich 2018, NeurIPS).

    Recall is the mean over events of `existence_weight`, if the event has any alarm, and of the fraction of the event
    that has one, by the rest of the weight. Precision is the mean over runs of alarms of the fraction that is
    anomalous. A fraction that lies in several ranges is multiplied by the cardinality's factor.

    Args:
        labels: (T,) bool, true at anomalous steps.
        alarms: (T,) bool.
        existence_weight: alpha, from 0 to 1; the TSB-AD benchmark takes 0.2.
        bias: where an event counts most: at its "front", "middle" or "back", or "flat".
        alarm_bias: where a run of alarms counts most.
        cardinality: "reciprocal": an overlap with n ranges counts 1 / n; "one": it counts in full.

    Raises:
        ShapeError: labels and alarms are not both (T,).
        ParameterError: a label or an alarm is neither 0 nor 1, or an option has an invalid value.
    """
    true, raised = check_alarms(labels, alarms)
    check_probability("existence_weight", existence_weight)
    for name, value, choices in (
        ("bias", bias, _WEIGHTS),
        ("alarm_bias", alarm_bias, _WEIGHTS),
        ("cardinality", cardinality, _FACTORS),
    ):
        if value not in choices:
            raise ParameterError(name, f"one of {', '.join(choices)}", value)
    return PrecisionRecall(
        precision=_reward(raised, true, 0, alarm_bias, cardinality),
        recall=_reward(true, raised, existence_weight, bias, cardinality),
    )


def _reward(
    flags: NDArray[np.bool_],
    others: NDArray[np.bool_],
    existence_weight: float,
    bias: Bias,
    cardinality: Cardinality,
) -> float:
    """The mean reward of the ranges of flags for what of them lies in ranges of the others; 0 if there are none."""
    starts, ends = segments_of(flags)
    if not len(starts):
        return 0.0
    other_starts, other_ends = segments_of(others)
    overlaps = np.searchsorted(other_starts, ends, side="right") - np.searchsorted(other_ends, starts)
    lengths = ends - starts + 1
    weights = _WEIGHTS[bias](
        np.flatnonzero(flags) - np.repeat(starts, lengths) + 1, np.repeat(lengths, lengths)
    ).astype(np.float64)
    first = np.cumsum(lengths) - lengths
    covered = np.add.reduceat(weights * others[flags], first) / np.add.reduceat(weights, first)
    rewards = existence_weight * (overlaps > 0) + (1 - existence_weight) * covered * _FACTORS[cardinality](overlaps)
    return float(rewards.mean())
