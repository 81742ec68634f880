"""From rows to scores: forecasts, their errors, and how unlikely these are."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from recurra.detection.alarms import AlarmRules, Event, find_events
from recurra.detection.peaks_over_threshold import PeaksOverThreshold
from recurra.detection.smoothing import smoothed

if TYPE_CHECKING:
    from recurra.tasks.anomaly.training import FittedDetector

__all__ = ["Scored", "contributions", "forecast_errors", "score", "warmed"]

_CHUNK = 4096
_ADAPTATION = 0.1
_LOWER = 0.8  # of the threshold: an event lasts until the score is below it

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Scored:
    """What a detector says of one series of T rows.

    Attributes:
        parts: (T, C), what each channel adds to the score.
        expected: (T, C) in the units of the channels; NaN in the first row.
        deviation: (C,) of the forecasts of the next row, in the same units.
        probability: (T,), that a normal row has such a score or a higher one.
        threshold: (T,) that the score was compared with.
        alarms: (T,): whether each row raises or continues an alarm, which later rows do not change.
        events: in order. Alarms with short gaps between them are one.
    """

    parts: Array
    expected: Array
    deviation: Array
    probability: Array
    threshold: Array
    alarms: NDArray[np.bool_]
    events: list[Event]

    @property
    def scores(self) -> Array:
        """(T,), about 1 for normal rows."""
        return self.parts.sum(axis=1)

    @property
    def in_events(self) -> NDArray[np.bool_]:
        """(T,): whether each row belongs to an event. A row in a gap does so only with the alarm after the gap."""
        return _rows_of(self.events, len(self.parts))


@torch.no_grad()
def forecast_errors(fitted: "FittedDetector", standard: Array) -> tuple[Array, Array]:
    """Errors of the forecasts of each row, the next step's first, and what was expected of it.

    A row's errors use the rows up to it alone.

    Args:
        fitted: a detector.
        standard: (T, C), NaN if missing.

    Returns:
        Errors (T, N, C), NaN if a value or its forecast is missing; and expectations (T, C).
    """
    rows = torch.from_numpy(fitted.learned.inputs(standard)).float()
    steps, channels = standard.shape
    forecasts, state = [], None
    fitted.network.eval()
    for part in rows.split(_CHUNK):
        output, state = fitted.network(part.unsqueeze(0).to(fitted.device), state)
        forecasts.append(output[0].cpu().double().numpy())
    ahead = np.concatenate(forecasts).reshape(steps, -1, channels)
    errors = np.full(ahead.shape, np.nan)
    for n in range(ahead.shape[1]):
        errors[n + 1 :, n] = standard[n + 1 :] - ahead[: max(0, steps - n - 1), n]
    expected = np.full((steps, channels), np.nan)
    expected[1:] = ahead[:-1, 0]
    return errors, expected


def contributions(errors: Array, mean: Array, precision: Array, channels: int) -> Array:
    """What each channel adds to the squared Mahalanobis distance of errors (T, N * C), over their number: (T, C).

    The distance is that of the errors that are there: a missing one is what the others make of it, and adds nothing.
    """
    deviations = _completed(errors - mean, precision)
    terms = deviations * (deviations @ precision) / len(mean)
    return terms.reshape(len(errors), -1, channels).sum(axis=1)


def _completed(deviations: Array, precision: Array) -> Array:
    """Deviations (T, E) with their conditional means in place of missing ones.

    Row by row, and not all rows with the same ones missing in one product, which rounds by their number: a row would
    depend on later ones in its last bit.
    """
    completed, missing = deviations.copy(), np.isnan(deviations)
    incomplete = np.flatnonzero(missing.any(axis=1))
    patterns, of_row = np.unique(missing[incomplete], axis=0, return_inverse=True)
    for index, absent in enumerate(patterns):
        regression = np.linalg.solve(precision[np.ix_(absent, absent)], -precision[np.ix_(absent, ~absent)])
        for row in incomplete[of_row.reshape(-1) == index].tolist():
            completed[row, absent] = regression @ deviations[row, ~absent]
    return completed


def warmed(parts: Array, cold_start: Array) -> Array:
    """Contributions (T, C), those of the first rows divided by what is usual there (W,)."""
    first = min(len(parts), len(cold_start))
    return np.concatenate([parts[:first] / cold_start[:first, None], parts[first:]])


def score(fitted: "FittedDetector", values: Array, probability: float, hindsight: bool = False) -> Scored:
    """Score the rows of a series (T, C).

    Args:
        fitted: a detector whose training has ended.
        values: NaN if missing.
        probability: of a false alarm, a row.
        hindsight: whether scores are smoothed in both directions; else each uses the rows up to its own alone.
    """
    learned = fitted.learned
    assert learned.errors is not None
    model = learned.errors
    standard = learned.standardize(values)
    errors, expected = forecast_errors(fitted, standard)
    flat = errors.reshape(len(errors), -1)
    parts = warmed(contributions(flat, model.mean, model.precision, len(learned.channels)), model.cold_start)
    parts = smoothed(parts, learned.period, hindsight)
    clean = model.hindsight_scores if hindsight else model.scores
    limits = PeaksOverThreshold(probability, adaptation=_ADAPTATION).calibrate(clean)
    scores = parts.sum(axis=1)
    tail, threshold = limits.run(scores)
    lower = _LOWER * threshold
    alarms = _rows_of(find_events(scores, threshold, lower), len(scores))
    events = find_events(scores, threshold, lower, AlarmRules(merge_gap=learned.period // 2))
    size = len(learned.channels)
    variance = np.diag(np.linalg.inv(model.precision))[:size]
    deviation = np.sqrt(variance) * np.array(learned.scale)
    return Scored(parts, learned.restore(expected), deviation, tail, threshold, alarms, events)


def _rows_of(events: list[Event], steps: int) -> NDArray[np.bool_]:
    flags = np.zeros(steps, bool)
    for event in events:
        flags[event.start : event.end] = True
    return flags
