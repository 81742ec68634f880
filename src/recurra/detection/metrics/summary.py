"""Scores of one detector over several labelled series, by name: areas, events, ranges, and NAB's score."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recurra.detection.metrics.curves import average_precision
from recurra.detection.metrics.events import event_scores, point_adjusted
from recurra.detection.metrics.nab import NAB_PROFILES, NabSeries, nab_score, probation
from recurra.detection.metrics.points import point_scores
from recurra.detection.metrics.precision_recall import PrecisionRecall
from recurra.detection.metrics.ranges import range_scores
from recurra.detection.metrics.vus import volumes_under_surface
from recurra.detection.segments import segments_of
from recurra.errors import ParameterError

__all__ = ["Detector", "area_scores", "early_scores", "event_summary", "point_adjusted_scores", "range_summary"]

_DAY = 86_400.0
_NAB_NAMES = {"standard": "NAB", "reward_low_FP_rate": "NAB, few false", "reward_low_FN_rate": "NAB, few missed"}


@dataclass(frozen=True)
class Detector:
    """What a detector says of labelled series.

    Attributes:
        labels: of each series (T,) bool.
        scores: of each series (T,).
        alarms: of each series (T,) bool. None: the detector has scores alone.
    """

    labels: Sequence[NDArray[np.bool_]]
    scores: Sequence[NDArray[np.float64]]
    alarms: Sequence[NDArray[np.bool_]] | None = None


def area_scores(detector: Detector, windows: Sequence[int]) -> dict[str, float]:
    """VUS-PR and AUC-PR, means over the series with both anomalous and other steps, of which there is at least one.

    Args:
        detector: its scores.
        windows: the widest window of VUS-PR of each series.
    """
    areas = [
        (volumes_under_surface(labels, scores, window).pr, average_precision(labels, scores))
        for labels, scores, window in zip(detector.labels, detector.scores, windows, strict=True)
        if labels.any() and not labels.all()
    ]
    vus, area = np.mean(areas, axis=0)
    return {"VUS-PR": float(vus), "AUC-PR": float(area)}


def event_summary(detector: Detector, step_seconds: float | None) -> dict[str, float]:
    """Event-wise precision, recall and F1 over all series, false alarms a day or per 1000 rows, and the mean delay.

    Args:
        detector: with alarms.
        step_seconds: the time of a step. None: there is none, and false alarms are per 1000 rows.
    """
    events = [event_scores(labels, alarms) for labels, alarms in _pairs(detector)]
    total, detected = sum(one.events for one in events), sum(len(one.delays) for one in events)
    raised, false = sum(one.alarms for one in events), sum(one.false_alarms for one in events)
    both = PrecisionRecall((raised - false) / raised if raised else 0.0, detected / total if total else 0.0)
    delays = [delay for one in events for delay in one.delays]
    rate = ("false alarms a day", _DAY / step_seconds) if step_seconds else ("false alarms per 1000 rows", 1000.0)
    named = _named("event", both) | {rate[0]: false * rate[1] / sum(map(len, detector.labels))}
    return named | ({"delay, rows": float(np.mean(delays))} if delays else {})


def range_summary(detector: Detector) -> dict[str, float]:
    """Range-based precision, recall and F1 (Tatbul et al. 2018) of alarms, over all series together.

    Biases are flat, overlaps count reciprocally, and the existence of an alarm has the weight 0.2, as in TSB-AD.
    """
    # A quiet step between them keeps the ranges of two series apart.
    apart = np.zeros(1, bool)
    joined = [
        np.concatenate([part for one in column for part in (one, apart)])
        for column in zip(*_pairs(detector), strict=True)
    ]
    return _named("range", range_scores(*joined))


def early_scores(detector: Detector) -> dict[str, float]:
    """NAB's score (Lavin and Ahmad 2015) with each of its profiles, at the threshold that is best for it.

    Empty: no window reaches behind the first steps, which NAB does not score.
    """
    series = [
        NabSeries(scores, list(zip(*(ends.tolist() for ends in segments_of(labels)), strict=True)))
        for labels, scores in zip(detector.labels, detector.scores, strict=True)
    ]
    if not any(labels[probation(len(labels)) :].any() for labels in detector.labels):
        return {}
    return {_NAB_NAMES[profile]: nab_score(series, profile).score for profile in NAB_PROFILES}


def point_adjusted_scores(detector: Detector) -> dict[str, float]:
    """Precision, recall and F1 of steps after point adjustment, which inflates them; see `events.point_adjusted`."""
    pairs = [(labels, point_adjusted(labels, alarms)) for labels, alarms in _pairs(detector)]
    return _named("point-adjusted", point_scores(*(np.concatenate(column) for column in zip(*pairs, strict=True))))


def _pairs(detector: Detector) -> list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    if detector.alarms is None:
        raise ParameterError("detector", "a detector with alarms", "scores alone")
    return list(zip(detector.labels, detector.alarms, strict=True))


def _named(kind: str, scores: PrecisionRecall) -> dict[str, float]:
    return {f"{kind} precision": scores.precision, f"{kind} recall": scores.recall, f"{kind} F1": scores.f1}
