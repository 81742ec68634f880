import numpy as np
import pytest

from recurra.detection.alarms import AlarmSwitch, CoolDown, runs_of
from recurra.detection.drift import DriftWatch
from recurra.detection.live_alarms import LiveAlarms
from recurra.errors import DataError

CLEAN = np.random.default_rng(0).lognormal(size=2000)


def made(merge_gap: int = 3, cool_down: int = 0) -> LiveAlarms:
    return LiveAlarms((5.0, 20.0), 0.5, AlarmSwitch(1.0, 2), DriftWatch(CLEAN, 20), merge_gap, cool_down)


def new_memory(alarms: LiveAlarms) -> dict[str, np.ndarray]:
    return {name: np.zeros(size, np.float32) for name, size in alarms.memory}


@pytest.mark.parametrize("steps", [0, 1, 7])
def test_alarms_and_events_are_those_of_the_switch(steps: int) -> None:
    generator, alarms, cool_down = np.random.default_rng(1), made(cool_down=steps), CoolDown(steps)
    slow, fast, short = generator.gamma(1, 4, 400), generator.gamma(1, 5, 400), generator.gamma(1, 1, 400)
    memory, switch = new_memory(alarms), AlarmSwitch(1.0, 2)
    raised = [switch.step(s, 5.0, m) or f > 20 for s, f, m in zip(slow, fast, short, strict=True)]
    expected = [cool_down.step(alarm) for alarm in raised]
    found = [alarms.step(memory, *row) for row in zip(slow.tolist(), fast.tolist(), short.tolist(), strict=True)]
    assert [one.alarm for one in found] == expected
    events = runs_of(np.array(expected), slow, merge_gap=3)
    assert len(events) > 15
    for number, event in enumerate(events, start=1):
        assert {one.event for one in found[event.start : event.end]} - {0} == {number}
    assert all(one.threshold == (10 if 0.5 * f > s else 5) for one, s, f in zip(found, slow, fast, strict=True))


def test_a_verdict_moves_the_thresholds_and_can_be_taken_back() -> None:
    alarms = made()
    memory = new_memory(alarms)
    assert alarms.step(memory, 6.0, 1.0, 2.0).event == 1
    assert alarms.step(memory, 7.0, 1.0, 2.0).event == 1
    assert alarms.judge(memory, 1, is_normal=True) == []
    assert alarms.thresholds(memory) == pytest.approx((8.4, 20))
    assert not alarms.step(memory, 7.0, 1.0, 2.0).alarm
    assert alarms.step(memory, 9.0, 1.0, 2.0).event == 2
    assert alarms.judge(memory, 2, is_normal=False) == []
    assert alarms.step(memory, 5.0, 30.0, 0.0).event == 2
    assert alarms.step(memory, 1.0, 0.0, 0.0).event == 0
    assert alarms.judge(memory, 2, is_normal=True) == []
    assert alarms.thresholds(memory) == pytest.approx((10.8, 36))
    alarms.judge(memory, 2, is_normal=False)
    assert alarms.thresholds(memory) == pytest.approx((8.4, 20))
    assert alarms.judge(memory, 1, is_normal=False) == []
    assert alarms.thresholds(memory) == (5, 20)


def test_an_anomaly_below_the_thresholds_is_named() -> None:
    alarms = made(0)
    memory = new_memory(alarms)
    for score in (6.0, 0.0, 9.0, 0.0):
        alarms.step(memory, score, 0.0, 2.0 if score else 0.0)
    assert alarms.judge(memory, 1, is_normal=False) == []
    assert alarms.judge(memory, 2, is_normal=True) == [1]


def test_verdicts_outlive_the_events_that_are_forgotten() -> None:
    alarms = made(0)
    memory = new_memory(alarms)
    with pytest.raises(DataError, match="there is none yet"):
        alarms.check(memory, 1)
    alarms.step(memory, 6.0, 25.0, 2.0)
    alarms.judge(memory, 1, is_normal=True)
    for _ in range(40):
        alarms.step(memory, 1.0, 40.0, 0.0)
        alarms.step(memory, 1.0, 0.0, 0.0)
    assert alarms.thresholds(memory) == pytest.approx((7.2, 30))
    alarms.check(memory, 41)
    with pytest.raises(DataError, match=r"latest 32 of this stream \(10, .*41\), got 9"):
        alarms.check(memory, 9)


def test_drift_is_said_while_it_lasts() -> None:
    alarms = made()
    memory = new_memory(alarms)
    said = [alarms.step(memory, 1.0, one, 0.0).drift for one in [*CLEAN[:300], *(3 * CLEAN[300:900]), *CLEAN[:900]]]
    assert not any(said[:300])
    noticed = said[899]
    assert noticed is not None
    assert noticed.ratio > 1.5
    assert noticed.steps == pytest.approx(600, abs=60)
    assert said[-1] is None
