"""Scores step by step: precision, recall, and the rates of false and of missed alarms."""

from dataclasses import dataclass

from numpy.typing import ArrayLike

from recurra.detection.metrics.arguments import check_alarms
from recurra.detection.metrics.precision_recall import PrecisionRecall, fraction

__all__ = ["PointScores", "point_scores"]


@dataclass(frozen=True)
class PointScores(PrecisionRecall):
    """The scores of alarms, step by step.

    Attributes:
        false_alarm_rate: the fraction of normal steps that raise an alarm; 0 if there are none.
        missed_alarm_rate: the fraction of anomalous steps that raise none; 0 if there are none.
    """

    false_alarm_rate: float
    missed_alarm_rate: float


def point_scores(labels: ArrayLike, alarms: ArrayLike) -> PointScores:
    """Compare alarms with labels at each step.

    These are the scores of the SKAB benchmark (Katser and Kozitsin 2020), which counts the steps of all its files
    together: join the files' steps first. It prints the rates in percent, as FAR and MAR.

    Args:
        labels: (T,) bool, true at anomalous steps.
        alarms: (T,) bool.

    Raises:
        ShapeError: labels and alarms are not both (T,).
        ParameterError: a label or an alarm is neither 0 nor 1.
    """
    true, raised = check_alarms(labels, alarms)
    hits, anomalous, alarmed = (true & raised).sum(), true.sum(), raised.sum()
    return PointScores(
        precision=fraction(hits, alarmed),
        recall=fraction(hits, anomalous),
        false_alarm_rate=fraction(alarmed - hits, len(true) - anomalous),
        missed_alarm_rate=fraction(anomalous - hits, anomalous),
    )
