"""From rows to scores, thresholds and alarms, of whole series or row by row."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from recurra.detection.alarms import AlarmSwitch, CoolDown, Event, find_events, runs_of
from recurra.detection.baselines import moving_deviation, random_scores, seasonal_change
from recurra.detection.drift import DriftWatch
from recurra.detection.live_alarms import LiveAlarms
from recurra.detection.peaks_over_threshold import PeaksOverThreshold
from recurra.detection.similar import EventPattern, event_pattern
from recurra.detection.two_scales import Judgement, TwoScales
from recurra.errors import StreamError
from recurra.models.channel_forecaster import ErrorScores
from recurra.models.detector_ensemble import DetectorEnsemble, EnsembleScores
from recurra.models.detector_errors import (
    Network,
    Parts,
    all_scores,
    expecting,
    fast_distance,
    networks_of,
    parts_of_values,
)
from recurra.models.sequence_autoencoder import SequenceAutoencoder
from recurra.models.timed_forecaster import TimedErrorScores, TimedForecaster
from recurra.streaming import ItemStream, MemoryStream, Stepper
from recurra.streaming.alarm_stream import alarm_stream
from recurra.streaming.row_inputs import GridRows, TimedRows
from recurra.task import Fitted
from recurra.tasks.anomaly.learned import AnomalyLearned

__all__ = [
    "HINDSIGHT_SCALES",
    "SCALES",
    "FittedDetector",
    "Scored",
    "adaptive_limits",
    "alarm_switch",
    "baseline_scores",
    "drift_watch",
    "error_scores",
    "open_session_stream",
    "open_stream",
    "parts_of",
    "rows_in_alarm",
    "score",
    "scores_of",
    "two_scales",
]

_ADAPTATION = 0.1  # of the thresholds of `predict`; see `recurra.detection.threshold`
_LOWER = 0.8  # of the threshold: an alarm lasts until the score is below it

# The scores of a row: slow, slow in hindsight, and fast. These are the two that are judged.
SCALES, HINDSIGHT_SCALES = (0, 2), (1, 2)

Array = NDArray[np.float64]
FittedDetector = Fitted[AnomalyLearned, Network | DetectorEnsemble]


@dataclass(frozen=True)
class Scored:
    """The scores of one series of T rows, and what follows from them.

    Attributes:
        parts: (T, C), what each channel adds to the score, which is the slow or the fast one.
        expected: (T, C) in the units of the channels, NaN in the first row.
        deviation: (C,) of the forecasts of the next row, in the same units.
        probability: (T,), that a normal row has such a score or a higher one.
        threshold: (T,) that the score was compared with.
        distances: (T,), the fast scores; 0 for rows that are not judged.
        alarms: (T,): whether each row raises or continues an alarm; later rows do not change that.
        events: in order. Alarms with short gaps between them are one.
    """

    parts: Array
    expected: Array
    deviation: Array
    probability: Array
    threshold: Array
    distances: Array
    alarms: NDArray[np.bool_]
    events: list[Event]

    @property
    def scores(self) -> Array:
        """(T,), about 1 for normal rows."""
        return self.parts.sum(axis=1)

    def pattern(self, values: Array, start: int, end: int) -> EventPattern:
        """What an event of the series (T, C + D) looks like, from its first row to the one after its last."""
        rows, channels = slice(start, end), self.parts.shape[1]
        return event_pattern(self.parts[rows], (values[rows, :channels] - self.expected[rows]) / self.deviation)

    def main_channels(self, start: int, end: int, most: int, least_fraction: float) -> list[tuple[int, float]]:
        """The channels that add most to the scores of some rows, with the fraction that each adds; at least one.

        Args:
            start: the first row.
            end: the row after the last.
            most: channels.
            least_fraction: that a channel adds.
        """
        added = np.maximum(self.parts[start:end].sum(axis=0), 0)
        fractions = added / max(float(added.sum()), 1e-300)
        order = np.argsort(-fractions, kind="stable")[:most].tolist()
        chosen = [k for k in order if fractions[k] >= least_fraction] or order[:1]
        return [(k, float(fractions[k])) for k in chosen]


def scores_of(parts: Array, fast: Array, judged: Judgement, gain: float) -> Array:
    """What each channel adds to the score (T, C): of the slow score, or where it is the fast one, of that."""
    distance = fast_distance(fast)
    fraction = fast / np.maximum(fast.sum(axis=-1), 1e-300)[..., None]
    return np.where(judged.is_fast[..., None], gain * distance[..., None] * fraction, parts)


def alarm_switch(learned: AnomalyLearned) -> AlarmSwitch:
    """What turns the scores of one series into alarms."""
    assert learned.errors is not None
    return AlarmSwitch(float(learned.errors.usual), max(1, round(learned.statistics.short)))


def baseline_scores(learned: AnomalyLearned, standard: Array, hindsight: bool, seed: int) -> dict[str, Array]:
    """The scores (T,) of simple detectors for standardised values (T, C + D), by their names."""
    filled = learned.statistics.watched(learned.statistics.filled(standard))
    return {
        "moving deviation": moving_deviation(filled, learned.period),
        "seasonal change": seasonal_change(filled, learned.period),
        "windows (PCA)": learned.subsequences.scores(filled, hindsight),
        "random": random_scores(len(filled), seed),
    }


def adaptive_limits(clean: Array, probability: float) -> PeaksOverThreshold:
    """The threshold that the scores of normal rows (S,) set, and that follows the scores that come.

    Args:
        clean: the scores.
        probability: of a false alarm, a row.
    """
    return PeaksOverThreshold(probability, adaptation=_ADAPTATION).calibrate(clean)


def two_scales(learned: AnomalyLearned, probability: float, hindsight: bool = False, adapts: bool = True) -> TwoScales:
    """The thresholds of the scores of rows, which follow the scores that come if they adapt."""
    assert learned.errors is not None
    model = learned.errors
    slow = model.hindsight_scores if hindsight else model.scores
    floors = None if learned.feedback is None else learned.feedback.floors(HINDSIGHT_SCALES if hindsight else SCALES)
    adaptation = _ADAPTATION if adapts else 0.0
    return TwoScales(slow, model.fast_scores, probability, adaptation, floors, learned.scales)


def drift_watch(learned: AnomalyLearned) -> DriftWatch:
    """What notices that errors as a whole have become larger than in calibration."""
    assert learned.errors is not None
    return DriftWatch(learned.errors.fast_scores, learned.period)


def rows_in_alarm(scores: Array, threshold: Array) -> NDArray[np.bool_]:
    """Whether each of the rows (T,) is in alarm: from above its threshold until the score is well below it."""
    flags = np.zeros(len(scores), bool)
    for event in find_events(scores, threshold, _LOWER * threshold):
        flags[event.start : event.end] = True
    return flags


def parts_of(
    fitted: FittedDetector, values: Array, ways: Sequence[bool] = (False,), elapsed: Array | None = None
) -> Parts:
    """The parts of the scores of the rows of a series (T, C + D), NaN if missing; see `parts_of_values`."""
    learned, networks = fitted.learned, networks_of(fitted.network)
    assert learned.errors is not None
    return parts_of_values(learned.statistics, networks, learned.errors.members, values, ways, elapsed)


def score(
    fitted: FittedDetector,
    values: Array,
    probability: float,
    hindsight: bool = False,
    elapsed: Array | None = None,
) -> Scored:
    """Score the rows of a series (T, C + D), of C channels and D covariates.

    Args:
        fitted: a detector whose training has ended.
        values: NaN if missing.
        probability: of a false alarm, a row.
        hindsight: whether scores are smoothed in both directions; else each uses the rows up to its own alone.
        elapsed: (T,), the times since the row before, of a detector that reads them; see `ChannelStatistics.elapsed`.
    """
    learned = fitted.learned
    assert learned.errors is not None
    row_parts = parts_of(fitted, values, (hindsight,), elapsed)
    slow, distance = all_scores(row_parts)
    scales = two_scales(learned, probability, hindsight)
    judged = scales.run(slow, distance)
    if hindsight:  # in which scores fall as they rose
        alarms = rows_in_alarm(slow, judged.slow_threshold)
    else:
        switch = alarm_switch(learned)
        alarms = np.array([switch.step(*row) for row in zip(slow, judged.slow_threshold, row_parts.short, strict=True)])
    cool_down = CoolDown(learned.cool_down)
    alarms = np.array([cool_down.step(alarm) for alarm in (alarms | judged.fast_alarm).tolist()], bool)
    parts = scores_of(row_parts.slow[0], row_parts.fast, judged, scales.gain)
    events = runs_of(alarms, parts.sum(axis=1), learned.period // 2)
    shown = [learned.errors.members[k] for k in expecting(networks_of(fitted.network))]
    variance = np.mean([one.gaussian.variances(len(learned.channels)) for one in shown], axis=0)
    deviation = np.sqrt(variance) * learned.statistics.watched(np.array(learned.statistics.scale))
    expected = learned.statistics.restore(row_parts.expected)
    return Scored(parts, expected, deviation, judged.probability, judged.threshold, distance, alarms, events)


def error_scores(fitted: FittedDetector) -> ErrorScores | EnsembleScores | TimedErrorScores:
    """The networks with the scores of their errors, as one module that runs step by step.

    Raises:
        StreamError: one is an autoencoder.
    """
    learned = fitted.learned
    assert learned.errors is not None
    scores, covariates = [], len(learned.statistics.covariates)
    for network, member in zip(networks_of(fitted.network), learned.errors.members, strict=True):
        if isinstance(network, SequenceAutoencoder):
            raise StreamError(
                "detector: an autoencoder reads a whole window for each row. Train with detector='forecast' to judge "
                "rows one by one, or to export."
            )
        mean, precision, own = torch.from_numpy(member.mean), torch.from_numpy(member.precision), copy.deepcopy(network)
        smoothing = learned.period, learned.statistics.short, int(member.warm_up)
        if isinstance(own, TimedForecaster):
            return TimedErrorScores(own.cpu(), precision, *smoothing, covariates)
        scores.append(ErrorScores(own.cpu(), mean, precision, *smoothing, covariates))
    weights = np.stack([member.weights for member in learned.errors.members])
    return scores[0] if len(scores) == 1 else EnsembleScores(scores, torch.from_numpy(weights))


def open_stream(fitted: FittedDetector, probability: float, weights: str) -> ItemStream:
    """The detector as a stream of rows; see `AnomalyDetector.open_stream`."""
    learned = fitted.learned
    assert learned.errors is not None
    stepper = Stepper(error_scores(fitted), weights)
    channels, size, model = learned.channels, len(learned.channels), learned.errors
    scales = two_scales(learned, probability, adapts=False)

    def answer(_: NDArray[Any], outputs: NDArray[np.float32]) -> dict[str, Any]:
        parts, fast = (outputs[-1, at : at + size].astype(np.float64) for at in (0, 2 * size))
        # 0 before the first forecast, and hardly ever after it.
        forecasts, short = outputs[-1, size : 2 * size].astype(np.float64), float(outputs[-1, -1])
        expected = learned.statistics.restore(forecasts).tolist() if forecasts.any() else None
        slow, distance = float(parts.sum()), float(fast_distance(fast))
        judged = scales.judge(slow, distance)
        parts = scores_of(parts, fast, judged, scales.gain)
        top = int(parts.argmax())
        return {
            "score": float(judged.score),
            "probability": float(judged.probability),
            "threshold": float(judged.threshold),
            "alarm": bool((slow > judged.slow_threshold and short > model.usual) or judged.fast_alarm),
            "slow": slow,
            "fast": distance,
            "short": short,
            "channel": channels[top],
            "parts": dict(zip(channels, parts.tolist(), strict=True)),
            "expected": dict(zip(channels, expected or [None] * size, strict=True)),
        }

    rows = GridRows(learned.statistics, model.members)
    if isinstance(fitted.network, TimedForecaster):
        rows = TimedRows(learned.statistics, copy.deepcopy(fitted.network).cpu().eval(), model.members[0])
    return ItemStream(stepper, rows.encode, answer, rows.item, rows.example)


def open_session_stream(fitted: FittedDetector, probability: float, weights: str) -> MemoryStream:
    """The detector as a stream of rows and verdicts; see `AnomalyDetector.open_stream`."""
    learned = fitted.learned
    scales = two_scales(learned, probability, adapts=False)
    watch, gap = drift_watch(learned), learned.period // 2
    alarms = LiveAlarms(scales.thresholds, scales.gain, alarm_switch(learned), watch, gap, learned.cool_down)
    return alarm_stream(open_stream(fitted, probability, weights), alarms)
