"""Precision, recall and F1, whatever they count."""

from dataclasses import dataclass

__all__ = ["PrecisionRecall", "fraction"]


@dataclass(frozen=True)
class PrecisionRecall:
    """How far alarms are right, and how far anomalies raise alarms.

    Attributes:
        precision: from 0 to 1; 0 if there are no alarms.
        recall: from 0 to 1; 0 if there are no anomalies.
    """

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """The harmonic mean of both; 0 if both are 0."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def fraction(part: float, whole: float) -> float:
    """The part by the whole; 0 if there is none."""
    return float(part / whole) if whole else 0.0
