"""Alarms as events: where scores stay above a threshold, with hysteresis, merged over short gaps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from recurra.detection.segments import segments_of
from recurra.errors import ParameterError, ShapeError

__all__ = ["AlarmRules", "AlarmSwitch", "AlarmTracker", "CoolDown", "Event", "find_events", "runs_of", "severity"]

_SMALLEST = 1e-300


class Event(NamedTuple):
    """Steps that belong to one anomaly.

    Attributes:
        start: the first step, whose score is above the upper threshold.
        end: the step after the last whose score is above the lower threshold.
        peak: the step with the highest score, the first of several.
        score: that score.
    """

    start: int
    end: int
    peak: int
    score: float


@dataclass(frozen=True)
class AlarmRules:
    """How scores become events.

    Args:
        patience: steps in a row at or below the lower threshold after which an event has ended.
        merge_gap: an event that starts at most this many steps after the end of another continues that one.
        cool_down: steps after the end of an event in which none starts.

    Raises:
        ParameterError: an argument is out of its range.
    """

    patience: int = 1
    merge_gap: int = 0
    cool_down: int = 0

    def __post_init__(self) -> None:
        for name, least in (("patience", 1), ("merge_gap", 0), ("cool_down", 0)):
            if getattr(self, name) < least:
                raise ParameterError(name, f"at least {least}", getattr(self, name))


def severity(probability: np.ndarray | float) -> np.ndarray:
    """Tail probabilities as scores, -log10 p, of any shape. Those below 1e-300 give 300; NaN gives NaN."""
    return -np.log10(np.maximum(probability, _SMALLEST))


class AlarmTracker:
    """Events of one series, score by score.

    An event starts at a score above the upper threshold. It has ended when the scores of `patience` steps in a row were
    at or below the lower one, or missing. It is final, and returned by `step`, once no later score can continue it.

    Args:
        rules: how scores become events. None: `AlarmRules()`.
    """

    def __init__(self, rules: AlarmRules | None = None) -> None:
        self.rules = AlarmRules() if rules is None else rules
        self._steps = 0
        self._event: Event | None = None
        self._resting_until = 0

    @property
    def event(self) -> Event | None:
        """The event that is not final yet, with the end that it has so far. None: there is none."""
        return self._event

    @property
    def in_alarm(self) -> bool:
        """Whether an event has started that has not ended."""
        return self._event is not None and self._steps - self._event.end < self.rules.patience

    def step(self, score: float, upper: float, lower: float | None = None) -> Event | None:
        """Take the score of the next step.

        Args:
            score: high for an anomaly; NaN if it is missing.
            upper: the threshold above which an event starts.
            lower: the threshold at or below which it ends, at most `upper`. None: `upper`.

        Returns:
            The event that is final from this step on. None: there is none.
        """
        lower = upper if lower is None else min(lower, upper)
        t, event = self._steps, self._event
        if event is None:
            starts = score > upper and t >= self._resting_until
            event = Event(t, t + 1, t, float(score)) if starts else None
        elif score > upper or (self.in_alarm and score > lower):
            peak, highest = (t, float(score)) if score > event.score else (event.peak, event.score)
            event = Event(event.start, t + 1, peak, highest)
        self._event = event
        self._steps += 1
        # The next score can continue an event that has not ended, or one that ended no longer than the gap ago.
        if event is None or self.in_alarm or self._steps - event.end <= self.rules.merge_gap:
            return None
        return self.finish()

    def finish(self) -> Event | None:
        """The event that is not final yet, which the end of the scores makes final. None: there is none."""
        event, self._event = self._event, None
        if event is not None:
            self._resting_until = event.end + self.rules.cool_down
        return event

    def to_dict(self) -> dict[str, np.ndarray]:
        """Rules and state as arrays by name, which `from_dict` reads."""
        event = self._event or Event(-1, -1, -1, np.nan)
        return {
            "rules": np.array([self.rules.patience, self.rules.merge_gap, self.rules.cool_down]),
            "steps": np.array([self._steps, self._resting_until]),
            "event": np.array(event[:3]),
            "score": np.array(event.score),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, np.ndarray]) -> Self:
        """Make the tracker that `to_dict` was called on; it continues as that would."""
        tracker = cls(AlarmRules(*(int(value) for value in values["rules"])))
        tracker._steps, tracker._resting_until = (int(value) for value in values["steps"])
        start, end, peak = (int(value) for value in values["event"])
        tracker._event = Event(start, end, peak, float(values["score"])) if start >= 0 else None
        return tracker


def find_events(
    scores: np.ndarray,
    upper: np.ndarray | float,
    lower: np.ndarray | float | None = None,
    rules: AlarmRules | None = None,
) -> list[Event]:
    """The events of a whole series, in order; those that an `AlarmTracker` returns.

    Args:
        scores: (T,), NaN for the missing. Use `severity` for tail probabilities, and for the thresholds too.
        upper: the threshold above which an event starts, one or (T,).
        lower: the threshold at or below which it ends, one or (T,). None: `upper`.
        rules: how scores become events. None: `AlarmRules()`.

    Raises:
        ShapeError: the shapes do not agree.
    """
    scores = np.asarray(scores, float)
    if scores.ndim != 1:
        raise ShapeError("scores", "the shape (T,)", scores.shape)
    both = []
    for name, threshold in (("upper", upper), ("lower", upper if lower is None else lower)):
        if np.shape(threshold) not in ((), scores.shape):
            raise ShapeError(name, f"one threshold, or {scores.shape} as scores", np.shape(threshold))
        both.append(np.broadcast_to(np.asarray(threshold, float), scores.shape).tolist())
    tracker = AlarmTracker(rules)
    events = [tracker.step(*row) for row in zip(scores.tolist(), *both, strict=True)]
    return [event for event in (*events, tracker.finish()) if event is not None]


class AlarmSwitch:
    """Alarms of one series by a slow score that detects and a short mean that tells when the anomaly is over.

    A smoothed score falls long after an anomaly. An alarm starts above the threshold, and ends below a part of it, or
    when the short mean was usual for some steps. Then the score has to fall below the threshold, or to rise again,
    before there is another alarm.

    Args:
        usual: the short mean of normal steps is hardly ever above it.
        patience: steps in a row of usual short means after which an alarm ends.
        lower: part of the threshold below which an alarm ends.
        rise: factor by which a score that is still above the threshold has to rise.
    """

    def __init__(self, usual: float, patience: int, lower: float = 0.8, rise: float = 1.1) -> None:
        self._usual, self._patience, self._lower, self._rise = usual, patience, lower, rise
        self._quiet = 0
        self._lowest = 0.0  # score since the last alarm, while it is above the threshold
        self.in_alarm = False

    @property
    def state(self) -> tuple[float, float, float]:
        """All that it remembers, as numbers: zeros before the first step. It can be set."""
        return float(self._quiet), self._lowest, float(self.in_alarm)

    @state.setter
    def state(self, values: Sequence[float]) -> None:
        quiet, self._lowest, in_alarm = map(float, values)
        self._quiet, self.in_alarm = int(quiet), bool(in_alarm)

    def step(self, score: float, threshold: float, short: float) -> bool:
        """Whether the step is in alarm."""
        if self.in_alarm:
            self._quiet = 0 if short > self._usual else self._quiet + 1
            if self._quiet >= self._patience or score < self._lower * threshold:
                self.in_alarm, self._lowest = False, score
        elif score <= threshold:
            self._lowest = 0.0
        elif score > self._rise * self._lowest and short > self._usual:
            self.in_alarm, self._quiet = True, 0
        else:
            self._lowest = min(self._lowest, score)
        return self.in_alarm


class CoolDown:
    """Keeps alarms of one series apart: none starts in the steps after the end of another.

    An alarm that begins too soon starts with the first step that is late enough.

    Args:
        steps: after the end of an alarm.
    """

    def __init__(self, steps: int) -> None:
        self._steps, self._quiet = steps, steps

    def step(self, alarm: bool) -> bool:
        """Whether the step is in alarm, given whether it would be without a cool-down."""
        alarm = alarm and (self._quiet == 0 or self._quiet >= self._steps)
        self._quiet = 0 if alarm else self._quiet + 1
        return alarm


def runs_of(flags: np.ndarray, scores: np.ndarray, merge_gap: int = 0) -> list[Event]:
    """Runs of flagged steps (T,) as events; those with a gap of at most `merge_gap` steps between them are one."""
    starts, ends = segments_of(np.asarray(flags, bool))
    apart = starts[1:] - ends[:-1] - 1 > merge_gap
    bounds = zip(
        starts[np.append(True, apart)[: len(starts)]], ends[np.append(apart, True)[: len(ends)]] + 1, strict=True
    )
    events = []
    for start, end in bounds:
        peak = int(start) + int(scores[start:end].argmax())
        events.append(Event(int(start), int(end), peak, float(scores[peak])))
    return events
