"""Alarms of a stream of scores, with the events that they make, a person's verdicts on these, and drift."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recurra.detection.alarms import AlarmSwitch
from recurra.detection.drift import Drift, DriftWatch
from recurra.detection.feedback import MARGIN
from recurra.detection.two_scales import NEVER
from recurra.errors import DataError

__all__ = ["LiveAlarm", "LiveAlarms"]

_EVENTS = 32  # the latest, of which a person can say what they were
_LONG = 2.0**20  # steps after which it makes no difference how many they were
_NUMBER, _SLOW, _FAST, _VERDICT = range(4)  # of an event
_NORMAL, _ANOMALY = 1, 2

Memory = dict[str, NDArray[np.float32]]


class LiveAlarm(NamedTuple):
    """What is said of a step.

    Attributes:
        threshold: what its score is compared with, in the units of the score.
        alarm: whether it raises or continues an alarm.
        event: the number of the event that the alarm belongs to, from 1; 0 without an alarm.
        drift: since the last look that noticed one; None: the last look noticed none.
    """

    threshold: float
    alarm: bool
    event: int
    drift: Drift | None


class LiveAlarms:
    """Alarms of steps by two scores, one stream at a time; what it remembers of a stream is a `Memory`.

    Alarms are those of `AlarmSwitch` by the slow score, and of single steps by the fast one; those with a short gap
    between them are one event. A verdict "normal" on one of the latest 32 events raises the thresholds to a fifth above
    its highest scores so far, as `recurra.detection.feedback` does, and ends its alarm; "anomaly" takes that back.

    Args:
        thresholds: of the slow and the fast score; `NEVER` for one that raises no alarm.
        gain: the units of the slow score in one of the fast score.
        switch: of the slow score.
        watch: what notices drift in fast scores.
        merge_gap: steps between two alarms of one event at most.
        cool_down: steps after the end of an alarm in which none starts, unless a person has called its event normal.
    """

    def __init__(
        self,
        thresholds: Sequence[float],
        gain: float,
        switch: AlarmSwitch,
        watch: DriftWatch,
        merge_gap: int,
        cool_down: int = 0,
    ) -> None:
        self._thresholds, self._gain, self._switch = np.array(thresholds, np.float64), gain, switch
        self._watch, self._merge_gap, self._cool_down = watch, merge_gap, min(cool_down, _LONG)

    @property
    def memory(self) -> tuple[tuple[str, int], ...]:
        """The name and the size of each array of a `Memory`, which begins with zeros."""
        return (
            ("switch", len(self._switch.state)),
            ("watch", len(self._watch.new_state())),
            ("drift", 1 + len(Drift._fields)),
            ("events", 4 * _EVENTS),
            ("count", 1),
            ("quiet", 1),  # steps since the last alarm
            ("floors", 2),  # of events that are too old to be in `events`
        )

    def step(self, memory: Memory, slow: float, fast: float, short: float) -> LiveAlarm:
        """Judge the scores of a step.

        Args:
            memory: of the stream; it is changed.
            slow: the smoothed score.
            fast: the score that is not smoothed; 0 if the step is not judged.
            short: the mean that tells when an anomaly is over.
        """
        of_slow, of_fast = self.thresholds(memory)
        self._switch.state = memory["switch"].tolist()
        alarm = self._switch.step(slow, of_slow, short) or fast > of_fast
        quiet = float(memory["quiet"][0])
        alarm = alarm and (not memory["count"][0] or quiet == 0 or quiet >= self._cool_down)
        memory["switch"][:] = self._switch.state
        is_fast = of_slow >= NEVER or (of_fast < NEVER and self._gain * fast > slow)
        threshold = self._gain * of_fast if is_fast else of_slow
        return LiveAlarm(threshold, alarm, self._event(memory, alarm, slow, fast), self._drift(memory, fast))

    def thresholds(self, memory: Memory) -> tuple[float, float]:
        """What the next slow and the next fast score are compared with."""
        events = memory["events"].reshape(-1, 4)
        normal = events[events[:, _VERDICT] == _NORMAL][:, [_SLOW, _FAST]]
        floors = MARGIN * np.max([np.zeros(2), *normal], axis=0)
        slow, fast = np.max([self._thresholds, memory["floors"], floors], axis=0).tolist()
        return slow, fast

    def check(self, memory: Memory, event: int) -> None:
        """Raise DataError unless a verdict on this event can be taken."""
        known = [int(one) for one in memory["events"].reshape(-1, 4)[:, _NUMBER] if one]
        if event not in known:
            numbers = ", ".join(map(str, sorted(known))) or "there is none yet"
            raise DataError(f"event: expected one of the latest {_EVENTS} of this stream ({numbers}), got {event}")

    def judge(self, memory: Memory, event: int, is_normal: bool) -> list[int]:
        """Take a person's verdict on an event.

        Args:
            memory: of the stream; it is changed.
            event: its number, which `check` allows.
            is_normal: whether it was normal; else it was an anomaly.

        Returns:
            The events called anomalies that are below the thresholds now.
        """
        events = memory["events"].reshape(-1, 4)
        events[events[:, _NUMBER] == event, _VERDICT] = _NORMAL if is_normal else _ANOMALY
        if is_normal and event == memory["count"][0]:
            memory["switch"][:] = 0
            memory["quiet"][:] = _LONG  # alarms to come are another event
        limits = self.thresholds(memory)
        silenced = (events[:, _VERDICT] == _ANOMALY) & (events[:, [_SLOW, _FAST]] <= limits).all(axis=1)
        return sorted(int(one) for one in events[silenced, _NUMBER])

    def _event(self, memory: Memory, alarm: bool, slow: float, fast: float) -> int:
        quiet, count = memory["quiet"], memory["count"]
        if not alarm:
            quiet[0] = min(quiet[0] + 1, _LONG)
            return 0
        events = memory["events"].reshape(-1, 4)
        if not count[0] or quiet[0] > self._merge_gap:
            count[0] += 1
            oldest = events[int(count[0]) % _EVENTS]
            if oldest[_VERDICT] == _NORMAL:
                memory["floors"][:] = np.maximum(memory["floors"], MARGIN * oldest[[_SLOW, _FAST]])
            oldest[:] = count[0], 0, 0, 0
        latest = events[int(count[0]) % _EVENTS]
        latest[[_SLOW, _FAST]] = np.maximum(latest[[_SLOW, _FAST]], [slow, fast])
        quiet[0] = 0
        return int(count[0])

    def _drift(self, memory: Memory, fast: float) -> Drift | None:
        drift = memory["drift"]
        look = self._watch.step(memory["watch"], fast)
        if look is not None:
            drift[0], drift[1:] = self._watch.is_drift(look), look
        if not drift[0]:
            return None
        probability, steps, ratio, or_earlier = drift[1:].tolist()
        return Drift(probability, int(steps), ratio, bool(or_earlier))
