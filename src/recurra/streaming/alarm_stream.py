"""A stream of scores as one that remembers its alarms: events, a person's verdicts on them, drift."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.detection.live_alarms import LiveAlarms
from recurra.errors import DataError
from recurra.streaming.item_stream import ItemStream
from recurra.streaming.memory_stream import Memory, MemoryStream, Reading, Talk
from recurra.streaming.state import StreamState

__all__ = ["alarm_stream"]

_VERDICTS = ("normal", "anomaly")


def alarm_stream(rows: ItemStream, alarms: LiveAlarms) -> MemoryStream:
    """The stream of a detector that also takes verdicts, and whose results say to which event an alarm belongs.

    Args:
        rows: whose result of an item is a dictionary with the scores `slow`, `fast` and `short`.
        alarms: that follow from such scores.
    """
    no_verdict = np.zeros((1, 2), np.float32)

    def read(item: Any, state: StreamState) -> NDArray[np.float32]:
        """What the network reads of a row, then two zeros; of a verdict zeros, then its event and verdict, from 1."""
        if not isinstance(item, dict) or not isinstance(item.get("feedback"), dict):
            return np.concatenate([rows.encode(item, state), no_verdict], axis=1)
        event, verdict = _verdict(item)
        alarms.check(stream.memory_of(state), event)
        inputs = np.zeros((1, rows.stepper.program.input_size + 2), np.float32)
        inputs[0, -2:] = event, 1 + _VERDICTS.index(verdict)
        return inputs

    def talk(inputs: NDArray[np.float32], memory: Memory) -> Talk:
        event, verdict = (int(one) for one in inputs[0, -2:])
        if verdict:
            silenced = alarms.judge(memory, event, _VERDICTS[verdict - 1] == "normal")
            slow, fast = alarms.thresholds(memory)
            judgement = {"event": event, "verdict": _VERDICTS[verdict - 1]}
            return {"feedback": judgement, "threshold": slow, "fast_threshold": fast, "silenced": silenced}
        outputs = yield Reading(inputs[:, :-2])
        result = rows.decode(inputs[:, :-2], outputs)
        judged = alarms.step(memory, result["slow"], result["fast"], result["short"])
        drift = judged.drift
        about = None if drift is None else {"ratio": drift.ratio, "rows": drift.steps, "or_earlier": drift.or_earlier}
        own = {"threshold": judged.threshold, "alarm": judged.alarm, "event": judged.event, "drift": about}
        return {**result, **own}

    stream = MemoryStream(
        rows.stepper,
        read,
        talk,
        f'{rows.item}; or {{"feedback": {{"event": 1, "verdict": "normal"}}}} (or "anomaly") on an event of a result',
        rows.example,
        memory=alarms.memory,
        depends_on="alarms",
    )
    return stream


def _verdict(item: dict[str, Any]) -> tuple[int, str]:
    """The event and the verdict of an item. Raises DataError."""
    judgement = item["feedback"]
    if item.keys() != {"feedback"} or judgement.keys() != {"event", "verdict"}:
        raise DataError("feedback: expected an object with event and verdict, and nothing beside it")
    event, verdict = judgement["event"], judgement["verdict"]
    if type(event) is not int or not 0 < event < 2**24:
        raise DataError("event: expected the number of an event, from 1")
    if verdict not in _VERDICTS:
        raise DataError(f"verdict: expected {' or '.join(_VERDICTS)}")
    return event, verdict
