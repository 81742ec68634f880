"""Scores event by event: which events raise an alarm and how late, and which alarms are false."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recurra.detection.metrics.arguments import check_alarms
from recurra.detection.metrics.precision_recall import PrecisionRecall, fraction
from recurra.detection.segments import segments_of

__all__ = ["EventScores", "event_scores", "point_adjusted"]


@dataclass(frozen=True)
class EventScores(PrecisionRecall):
    """The scores of alarms, event by event. An event is a run of anomalous steps.

    Precision is the fraction of the runs of alarms that touch an event, recall the fraction of the events that a run
    of alarms touches.

    Attributes:
        events: events of the labels.
        alarms: runs of alarms.
        false_alarms: runs of alarms that touch no event.
        delays: by detected event, the steps from its start to its first alarm; 0 if the alarm was there before.
        steps: of the series.
    """

    events: int
    alarms: int
    false_alarms: int
    delays: tuple[int, ...]
    steps: int

    @property
    def mean_delay(self) -> float | None:
        """The mean delay of detected events, in steps; None: no event is detected."""
        return float(np.mean(self.delays)) if self.delays else None

    @property
    def median_delay(self) -> float | None:
        """The median delay of detected events, in steps; None: no event is detected."""
        return float(np.median(self.delays)) if self.delays else None

    def false_alarms_in(self, steps: float) -> float:
        """The false alarms in so many steps, at the rate of the series.

        Args:
            steps: 1 for the rate by step; the steps of a day, 1,440 if a step is a minute, for the rate by day.
        """
        return self.false_alarms * steps / self.steps


def event_scores(labels: ArrayLike, alarms: ArrayLike) -> EventScores:
    """Compare runs of alarms with events: an event is detected if at least one of its steps has an alarm.

    Args:
        labels: (T,) bool, true at anomalous steps.
        alarms: (T,) bool.

    Raises:
        ShapeError: labels and alarms are not both (T,).
        ParameterError: a label or an alarm is neither 0 nor 1.
    """
    true, raised = check_alarms(labels, alarms)
    waits, alarm_waits = _steps_until(true, raised), _steps_until(raised, true)
    detected = waits[waits >= 0]
    false_alarms = int((alarm_waits < 0).sum())
    return EventScores(
        precision=fraction(len(alarm_waits) - false_alarms, len(alarm_waits)),
        recall=fraction(len(detected), len(waits)),
        events=len(waits),
        alarms=len(alarm_waits),
        false_alarms=false_alarms,
        delays=tuple(detected.tolist()),
        steps=len(true),
    )


def point_adjusted(labels: ArrayLike, alarms: ArrayLike) -> NDArray[np.bool_]:
    """Alarms with point adjustment: an event with any alarm has an alarm at each of its steps. This inflates scores.

    Many papers score such alarms step by step (Xu et al. 2018). One lucky step then counts as the whole event, and
    random alarms exceed published detectors (Kim et al. 2022, Towards a Rigorous Evaluation of Time-Series Anomaly
    Detection, AAAI). Use it only to compare with a figure that was published so, and say so beside the figure.

    Args:
        labels: (T,) bool, true at anomalous steps.
        alarms: (T,) bool.

    Returns:
        (T,) bool.

    Raises:
        ShapeError: labels and alarms are not both (T,).
        ParameterError: a label or an alarm is neither 0 nor 1.
    """
    true, raised = check_alarms(labels, alarms)
    starts, ends = segments_of(true)
    adjusted = raised.copy()
    adjusted[true] |= np.repeat(_steps_until(true, raised) >= 0, ends - starts + 1)
    return adjusted


def _steps_until(flags: NDArray[np.bool_], others: NDArray[np.bool_]) -> NDArray[np.int64]:
    """By run of flags, the steps from its start to the first of the others within it; -1 if there is none."""
    starts, ends = segments_of(flags)
    # A step beyond the series is in no run.
    steps = np.append(np.flatnonzero(others), len(flags))
    first = steps[np.searchsorted(steps, starts)]
    return np.where(first <= ends, first - starts, -1)
