"""From rows to scores: forecasts, their errors, and how unlikely these are."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from recurra.detection.alarms import AlarmSwitch, Event, find_events, runs_of
from recurra.detection.baselines import moving_deviation, random_scores, seasonal_change
from recurra.detection.drift import DriftWatch
from recurra.detection.peaks_over_threshold import PeaksOverThreshold
from recurra.detection.similar import EventPattern, event_pattern
from recurra.detection.smoothing import smoothed
from recurra.detection.subsequences import spread
from recurra.detection.two_scales import Judgement, TwoScales
from recurra.errors import DataError, StreamError
from recurra.models.channel_forecaster import ChannelForecaster, ErrorScores, next_precision
from recurra.models.sequence_autoencoder import SequenceAutoencoder, trailing_windows
from recurra.streaming import ItemStream, Stepper, StreamState
from recurra.tasks.anomaly.learned import AnomalyLearned, ErrorModel

if TYPE_CHECKING:
    from recurra.tasks.anomaly.training import FittedDetector

__all__ = [
    "HINDSIGHT_SCALES",
    "SCALES",
    "Scored",
    "adaptive_limits",
    "after_warm_up",
    "alarm_switch",
    "baseline_scores",
    "contributions",
    "distances",
    "drift_watch",
    "error_scores",
    "fast_distance",
    "fast_parts",
    "forecast_errors",
    "open_stream",
    "raw_parts",
    "rows_in_alarm",
    "score",
    "scores_of",
    "short_means",
    "slow_parts",
    "two_scales",
]

_CHUNK = 4096
_ADAPTATION = 0.1  # of the thresholds of `predict`; see `recurra.detection.threshold`
_WINDOWS = 1024  # written again at a time
_LOWER = 0.8  # of the threshold: an alarm lasts until the score is below it

# The scores of a row: slow, slow in hindsight, and fast. These are the two that are judged.
SCALES, HINDSIGHT_SCALES = (0, 2), (1, 2)

Array = NDArray[np.float64]


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
        """What an event of the series (T, C) looks like, from its first row to the one after its last."""
        rows = slice(start, end)
        return event_pattern(self.parts[rows], (values[rows] - self.expected[rows]) / self.deviation)

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


def fast_distance(parts: Array) -> Array:
    """The fast scores (...) of contributions (..., C): the distance, where the slow score is a squared one."""
    return np.sqrt(np.maximum(parts.sum(axis=-1), 0))


@torch.no_grad()
def forecast_errors(fitted: "FittedDetector", standard: Array) -> tuple[Array, Array]:
    """Errors of the forecasts of each row, the next step's first, and what was expected of it.

    A row's errors use the rows up to it alone. Of an autoencoder they are those of the last row of the window that ends
    with it, as if of one forecast.

    Args:
        fitted: a detector.
        standard: (T, C), NaN if missing.

    Returns:
        Errors (T, N, C), NaN if a value or its forecast is missing; and expectations (T, C).
    """
    steps, channels = standard.shape
    expected = np.full((steps, channels), np.nan)
    if fitted.learned.window:
        for ends, written in _written_again(fitted, standard):
            expected[ends] = written[:, -1]
        return (standard - expected)[:, None], expected
    rows = torch.from_numpy(fitted.learned.inputs(standard)).float()
    forecasts, state = [], None
    fitted.network.eval()
    for part in rows.split(_CHUNK):
        output, state = fitted.network(part.unsqueeze(0).to(fitted.device), state)
        forecasts.append(output[0].cpu().double().numpy())
    ahead = np.concatenate(forecasts).reshape(steps, -1, channels)
    errors = np.full(ahead.shape, np.nan)
    for n in range(ahead.shape[1]):
        errors[n + 1 :, n] = standard[n + 1 :] - ahead[: max(0, steps - n - 1), n]
    expected[1:] = ahead[:-1, 0]
    return errors, expected


@torch.no_grad()
def _written_again(fitted: "FittedDetector", standard: Array) -> Iterator[tuple[slice, Array]]:
    """Rows, and what an autoencoder writes (n, W, C) of the windows that end with them."""
    window = fitted.learned.window
    if len(standard) < window:
        return
    fitted.network.eval()
    windows = trailing_windows(torch.from_numpy(fitted.learned.inputs(standard)).float(), window)
    for begin in range(0, len(windows), _WINDOWS):
        written = fitted.network(windows[begin : begin + _WINDOWS].to(fitted.device))[0].cpu().double().numpy()
        yield slice(begin + window - 1, begin + window - 1 + len(written)), written


def distances(
    fitted: "FittedDetector",
    standard: Array,
    errors: Array,
    model: tuple[Array, Array],
    aside: NDArray[np.bool_] | None = None,
) -> Array:
    """What each channel adds to the squared distance of each row (T, C), before it is smoothed.

    That of a forecaster is the distance of the errors of the row. That of an autoencoder is the mean distance of the
    errors of the window that ends with the row (Malhotra et al. 2016).

    Args:
        fitted: a detector.
        standard: (T, C), NaN if missing.
        errors: (T, N * C), see `forecast_errors`.
        model: the mean and the precision of normal errors.
        aside: (T, 1), rows that add nothing. None: there are none. The errors of these are NaN already.
    """
    mean, precision = model
    channels, window = standard.shape[1], fitted.learned.window
    if not window:
        return contributions(errors, mean, precision, channels)
    wanted = standard if aside is None else np.where(aside, np.nan, standard)
    parts = np.zeros_like(standard)
    for ends, written in _written_again(fitted, standard):
        rows = wanted[ends.start - window + 1 : ends.stop]
        views = np.lib.stride_tricks.sliding_window_view(rows, window, axis=0).transpose(0, 2, 1)
        deviations = np.nan_to_num(views - written - mean)
        parts[ends] = (deviations * (deviations @ precision)).mean(axis=1) / channels
    return parts


def slow_parts(learned: AnomalyLearned, raw: Array, hindsight: bool) -> Array:
    """The slow scores of distances (T, C): means over the period, or of an autoencoder over its window."""
    if not learned.window:
        return smoothed(raw, learned.period, hindsight)
    if not hindsight or len(raw) < learned.window:
        return raw
    ends = raw[learned.window - 1 :].T
    return np.stack([spread(channel, learned.window, hindsight=True) for channel in ends], axis=1)


def short_means(learned: AnomalyLearned, raw: Array, fast: Array) -> Array:
    """The means (T,) that tell when an anomaly is over, of distances (T, C) and fast contributions (T, C)."""
    return smoothed((fast if learned.window else raw).sum(axis=1), learned.short)


def contributions(errors: Array, mean: Array, precision: Array, channels: int) -> Array:
    """What each channel adds to the squared Mahalanobis distance of errors (T, N * C), over their number: (T, C).

    The distance is that of the errors that are there: a missing one is what the others make of it, and adds nothing.
    """
    deviations = _completed(errors - mean, precision)
    terms = deviations * (deviations @ precision) / len(mean)
    return terms.reshape(len(errors), -1, channels).sum(axis=1)


def fast_parts(errors: Array, beyond: Array, mean: Array, precision: Array) -> Array:
    """What each channel adds to the squared distance of the errors of the next step alone, over their number: (T, C).

    Args:
        errors: (T, N * C), NaN if missing.
        beyond: (T, C), how far the values lie beyond what the network reads.
        mean: (N * C,) of the errors of normal rows.
        precision: (N * C, N * C), the inverse of their covariance.
    """
    channels = beyond.shape[1]
    deviations = _completed(errors - mean, precision)[:, :channels] + beyond
    weights = next_precision(torch.from_numpy(precision), channels).numpy()
    return deviations * (deviations @ weights) / channels


def raw_parts(
    fitted: "FittedDetector", values: Array, model: tuple[Array, Array], warm_up: int
) -> tuple[Array, Array, Array]:
    """What each channel adds to the distances of rows before any is smoothed, and what was expected of it.

    Args:
        fitted: a detector.
        values: (T, C), NaN if missing.
        model: the mean and the precision of the errors of normal rows.
        warm_up: first rows, which are not judged.

    Returns:
        The parts of the squared distances that become the slow scores, and those of the fast ones, 0 in the first rows;
        and the standardised expectations; all (T, C).
    """
    standard = fitted.learned.standardize(values)
    errors, expected = forecast_errors(fitted, standard)
    errors = errors.reshape(len(errors), -1)
    slow = distances(fitted, standard, errors, model)
    fast = fast_parts(errors, fitted.learned.beyond(values), *model)
    return after_warm_up(slow, warm_up), after_warm_up(fast, warm_up), expected


def scores_of(parts: Array, fast: Array, judged: Judgement, gain: float) -> Array:
    """What each channel adds to the score (T, C): of the slow score, or where it is the fast one, of that."""
    distance = fast_distance(fast)
    fraction = fast / np.maximum(fast.sum(axis=-1), 1e-300)[..., None]
    return np.where(judged.is_fast[..., None], gain * distance[..., None] * fraction, parts)


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


def after_warm_up(parts: Array, warm_up: int) -> Array:
    """The contributions (T, C), 0 for the first rows, which are not judged."""
    return np.concatenate([np.zeros_like(parts[:warm_up]), parts[warm_up:]])


def alarm_switch(learned: AnomalyLearned) -> AlarmSwitch:
    """What turns the scores of one series into alarms."""
    assert learned.errors is not None
    return AlarmSwitch(float(learned.errors.usual), max(1, round(learned.short)))


def baseline_scores(learned: AnomalyLearned, standard: Array, hindsight: bool, seed: int) -> dict[str, Array]:
    """The scores (T,) of simple detectors for standardised values (T, C), by their names."""
    filled = learned.filled(standard)
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
    return TwoScales(slow, model.fast_scores, probability, _ADAPTATION if adapts else 0.0, floors)


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
    raw, fast, expected = raw_parts(fitted, values, (model.mean, model.precision), int(model.warm_up))
    parts = slow_parts(learned, raw, hindsight)
    slow, scales = parts.sum(axis=1), two_scales(learned, probability, hindsight)
    judged = scales.run(slow, fast_distance(fast))
    if hindsight:  # in which scores fall as they rose
        alarms = rows_in_alarm(slow, judged.slow_threshold)
    else:
        short, switch = short_means(learned, raw, fast), alarm_switch(learned)
        alarms = np.array([switch.step(*row) for row in zip(slow, judged.slow_threshold, short, strict=True)])
    alarms = alarms | judged.fast_alarm
    parts = scores_of(parts, fast, judged, scales.gain)
    events = runs_of(alarms, parts.sum(axis=1), learned.period // 2)
    size = len(learned.channels)
    variance = np.diag(np.linalg.inv(model.precision))[:size]
    deviation = np.sqrt(variance) * np.array(learned.scale)
    expected = learned.restore(expected)
    return Scored(parts, expected, deviation, judged.probability, judged.threshold, fast_distance(fast), alarms, events)


def error_scores(fitted: "FittedDetector") -> ErrorScores:
    """The network with the scores of its errors, as one module that runs step by step.

    Raises:
        StreamError: it is an autoencoder.
    """
    model = fitted.learned.errors
    assert model is not None
    if isinstance(fitted.network, SequenceAutoencoder):
        raise StreamError(
            "detector: an autoencoder reads a whole window for each row. Train with detector='forecast' to judge rows "
            "one by one, or to export."
        )
    mean, precision = torch.from_numpy(model.mean), torch.from_numpy(model.precision)
    network: ChannelForecaster = copy.deepcopy(fitted.network).cpu()
    return ErrorScores(network, mean, precision, fitted.learned.period, fitted.learned.short, int(model.warm_up))


def open_stream(fitted: "FittedDetector", probability: float, weights: str) -> ItemStream:
    """The detector as a stream of rows; see `AnomalyDetector.open_stream`."""
    learned = fitted.learned
    assert learned.errors is not None
    stepper = Stepper(error_scores(fitted), weights)
    channels, size, model = learned.channels, len(learned.channels), learned.errors
    scales = two_scales(learned, probability, adapts=False)

    def read(item: Any, state: StreamState) -> NDArray[np.float32]:
        row = item if isinstance(item, dict) else dict(zip(channels, item, strict=False)) if _is_row(item, size) else {}
        if not row or not row.keys() <= set(channels):
            raise DataError(f"item: expected an object with numbers for {', '.join(channels)}")
        if any(isinstance(value, bool) or not (value is None or isinstance(value, Real)) for value in row.values()):
            raise DataError(f"item: expected numbers, or null if missing, for {', '.join(channels)}")
        try:
            values = np.array([[np.nan if row.get(name) is None else row[name] for name in channels]], np.float64)
        except OverflowError:
            raise DataError("item: expected numbers of double precision") from None
        if np.isinf(values).any():
            raise DataError("item: expected finite numbers")
        standard = learned.standardize(values)
        present = np.isfinite(standard)
        instead = np.zeros((1, len(model.mean)))
        if not present.all():
            instead = _assumed(standard, state.parts["forecasts"][0], model)
        beyond = learned.beyond(values)
        return np.concatenate([np.nan_to_num(standard), present, beyond, instead], axis=1).astype(np.float32)

    def answer(_: NDArray[Any], outputs: NDArray[np.float32]) -> dict[str, Any]:
        parts, fast = (outputs[-1, at : at + size].astype(np.float64) for at in (0, 2 * size))
        # 0 before the first forecast, and hardly ever after it.
        forecasts, short = outputs[-1, size : 2 * size].astype(np.float64), float(outputs[-1, -1])
        expected = learned.restore(forecasts).tolist() if forecasts.any() else None
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

    example = dict(zip(channels, learned.centre, strict=True))
    return ItemStream(stepper, read, answer, f"a row: {', '.join(channels)}", example)


def _assumed(standard: Array, forecasts: NDArray[np.float32], model: ErrorModel) -> Array:
    """What the errors of the missing values of a row (1, C) are taken for, less their mean: (1, N * C).

    Args:
        standard: the row.
        forecasts: (N * N * C,), what the last N steps forecast, the oldest first.
        model: of the errors.
    """
    channels = standard.shape[1]
    horizon = len(model.mean) // channels
    ahead = forecasts.astype(np.float64).reshape(horizon, horizon, channels)
    # What the network forecast of this row n steps before is the n-th forecast of the n-th step from the end.
    forecast = np.stack([ahead[horizon - 1 - step, step] for step in range(horizon)])
    return _completed((standard - forecast).reshape(1, -1) - model.mean, model.precision)


def _is_row(item: Any, size: int) -> bool:
    return isinstance(item, list | tuple) and len(item) == size
