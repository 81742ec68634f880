"""Areas under the curves over all thresholds, and the best F1 of any threshold."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recurra.detection.metrics.arguments import check_both_labels, check_scores
from recurra.detection.metrics.descending import descending
from recurra.detection.metrics.precision_recall import PrecisionRecall

__all__ = ["OracleScores", "average_precision", "oracle_f1", "roc_area"]


@dataclass(frozen=True)
class OracleScores(PrecisionRecall):
    """The scores at the threshold that was chosen with the labels.

    Attributes:
        threshold: a score of at least this raises an alarm.
    """

    threshold: float


def average_precision(labels: ArrayLike, scores: ArrayLike) -> float:
    """The AUC-PR: the precision at each threshold, weighted by the recall that it adds, as in scikit-learn.

    Args:
        labels: (T,) bool, true at anomalous steps; at least one is.
        scores: (T,) float, higher at steps that are more anomalous.

    Returns:
        from 0 to 1; random scores have about the fraction of anomalous steps.

    Raises:
        ShapeError: labels and scores are not both (T,).
        ParameterError: a label is neither 0 nor 1, none is 1, or a score is NaN.
    """
    true, values = check_scores(labels, scores)
    _, hits, alarms = _counts_by_threshold(true, values)
    return float((np.diff(hits, prepend=0) * hits / alarms).sum() / hits[-1])


def roc_area(labels: ArrayLike, scores: ArrayLike) -> float:
    """The AUC-ROC: how often an anomalous step has a higher score than a normal one; a tie counts a half.

    Args:
        labels: (T,) bool, true at anomalous steps, with both kinds of steps.
        scores: (T,) float, higher at steps that are more anomalous.

    Returns:
        from 0 to 1; random scores have about 0.5.

    Raises:
        ShapeError: labels and scores are not both (T,).
        ParameterError: a label is neither 0 nor 1, all labels are the same, or a score is NaN.
    """
    true, values = check_scores(labels, scores)
    check_both_labels(true)
    _, hits, alarms = _counts_by_threshold(true, values)
    hits, false_alarms = (np.concatenate(([0], counts)) for counts in (hits, alarms - hits))
    area = (np.diff(false_alarms) * (hits[1:] + hits[:-1]) / 2).sum()
    return float(area / (hits[-1] * false_alarms[-1]))


def oracle_f1(labels: ArrayLike, scores: ArrayLike) -> OracleScores:
    """The best F1, point by point, of any threshold.

    The threshold is chosen with the labels that it is scored by, which nobody has in use. The result says what the
    scores could do at best; alarms will do worse. Of equally good thresholds, the highest is taken.

    Args:
        labels: (T,) bool, true at anomalous steps; at least one is.
        scores: (T,) float, higher at steps that are more anomalous.

    Raises:
        ShapeError: labels and scores are not both (T,).
        ParameterError: a label is neither 0 nor 1, none is 1, or a score is NaN.
    """
    true, values = check_scores(labels, scores)
    thresholds, hits, alarms = _counts_by_threshold(true, values)
    best = (2 * hits / (alarms + hits[-1])).argmax()
    return OracleScores(
        precision=float(hits[best] / alarms[best]),
        recall=float(hits[best] / hits[-1]),
        threshold=float(thresholds[best]),
    )


def _counts_by_threshold(
    labels: NDArray[np.bool_], scores: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """The distinct scores from the highest on, and at each the anomalous steps that reach it, and all that do."""
    order, stops = descending(scores)
    return scores[order[stops]], labels[order].cumsum()[stops], stops + 1
