"""Events are detected by any alarm in them, alarms outside of them are false; point adjustment inflates."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.detection.metrics.events import event_scores, point_adjusted
from recurra.detection.metrics.points import point_scores
from recurra.detection.segments import segments_of
from recurra.errors import ShapeError

flags = st.lists(st.booleans(), min_size=1, max_size=30)


def flags_of(text: str) -> np.ndarray:
    return np.array([letter != "." for letter in text])


def test_events_delays_and_false_alarms_are_counted() -> None:
    labels = flags_of("..xxxx....xxx....xxx..xx")
    alarms = flags_of("....x..x.xx....x......x.")
    scores = event_scores(labels, alarms)
    assert (scores.events, scores.alarms, scores.false_alarms, scores.steps) == (4, 5, 2, 24)
    # The second event's alarm began before it.
    assert scores.delays == (2, 0, 0)
    assert scores.recall == pytest.approx(3 / 4)
    assert scores.precision == pytest.approx(3 / 5)
    assert scores.f1 == pytest.approx(2 / 3)
    assert scores.mean_delay == pytest.approx(2 / 3)
    assert scores.median_delay == 0
    assert scores.false_alarms_in(1) == pytest.approx(2 / 24)
    assert scores.false_alarms_in(1440) == pytest.approx(120)


@pytest.mark.parametrize(("labels", "alarms"), [("....", "...."), ("..xx", "...."), ("..xx", "x..."), ("....", ".x.x")])
def test_nothing_detected_has_no_delay(labels: str, alarms: str) -> None:
    scores = event_scores(flags_of(labels), flags_of(alarms))
    assert (scores.mean_delay, scores.median_delay) == (None, None)
    assert (scores.precision, scores.recall, scores.f1) == (0, 0, 0)


@given(st.data(), flags)
def test_events_are_counted_as_by_hand(data: st.DataObject, labels: list[bool]) -> None:
    alarms = data.draw(st.lists(st.booleans(), min_size=len(labels), max_size=len(labels)))
    scores = event_scores(labels, alarms)

    def runs(steps: list[bool]) -> list[range]:
        starts, ends = segments_of(np.array(steps))
        return [range(start, end + 1) for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]

    delays = [min(hits) - run.start for run in runs(labels) if (hits := [step for step in run if alarms[step]])]
    false_alarms = [run for run in runs(alarms) if not any(labels[step] for step in run)]
    assert scores.delays == tuple(delays)
    assert scores.events == len(runs(labels))
    assert scores.alarms == len(runs(alarms))
    assert scores.false_alarms == len(false_alarms)
    assert event_scores(labels, labels).recall == any(labels)


@given(flags)
def test_segments_are_the_runs_of_true_flags(steps: list[bool]) -> None:
    starts, ends = segments_of(np.array(steps))
    rebuilt = np.zeros(len(steps), dtype=bool)
    for start, end in zip(starts, ends, strict=True):
        assert start <= end
        assert not rebuilt[start : end + 1].any()
        assert start == 0 or not steps[start - 1]
        rebuilt[start : end + 1] = True
    assert rebuilt.tolist() == steps


def test_point_adjustment_fills_the_events_that_have_an_alarm() -> None:
    labels, alarms = flags_of("xx..xxx..xxx"), flags_of(".x.x.....x..")
    assert point_adjusted(labels, alarms).tolist() == flags_of("xx.x.....xxx").tolist()
    assert alarms.tolist() == flags_of(".x.x.....x..").tolist()


def test_point_adjustment_makes_random_alarms_look_good() -> None:
    labels = np.arange(10_000) % 1000 < 100
    alarms = np.random.default_rng(0).random(10_000) < 0.03
    assert point_scores(labels, alarms).f1 < 0.1
    assert point_scores(labels, point_adjusted(labels, alarms)).f1 > 0.8


def test_alarms_of_another_length_are_refused() -> None:
    with pytest.raises(ShapeError, match="alarms"):
        event_scores([0, 1], [0])
    with pytest.raises(ShapeError, match="alarms"):
        point_adjusted([0, 1], [0])
