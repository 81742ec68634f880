from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.detection.alarms import (
    AlarmRules,
    AlarmSwitch,
    AlarmTracker,
    CoolDown,
    Event,
    find_events,
    runs_of,
    severity,
)
from recurra.errors import ParameterError, ShapeError

SCORES = st.lists(st.sampled_from([0.0, 1.0, 1.5, 2.0, 3.0, 4.0, np.nan, np.inf]), max_size=40)
RULES = st.builds(AlarmRules, st.integers(1, 4), st.integers(0, 5), st.integers(0, 6))
UPPER, LOWER = 2.0, 1.0


def by_hand(scores: list[float], rules: AlarmRules) -> list[Event]:
    """Events with hindsight: runs first, then merged, then rested."""
    runs, t = [], 0
    while t < len(scores):
        if scores[t] > UPPER:
            end = t + 1
            while any(score > LOWER for score in scores[end : end + rules.patience]):
                end += 1
            runs.append([t, end])
            t = end
        else:
            t += 1
    events: list[list[int]] = []
    for start, end in runs:
        if events and start - events[-1][1] <= rules.merge_gap:
            events[-1][1] = end
        elif not events or start >= events[-1][1] + rules.cool_down:
            events.append([start, end])
    peaks = [start + int(np.nanargmax(scores[start:end])) for start, end in events]
    return [Event(start, end, peak, scores[peak]) for (start, end), peak in zip(events, peaks, strict=True)]


@pytest.mark.parametrize(
    ("scores", "rules", "spans"),
    [
        ([0, 3, 3, 0, 3], AlarmRules(), [(1, 3), (4, 5)]),
        ([0, 3, 1.5, 1.5, 0, 1.5, 0], AlarmRules(), [(1, 4)]),
        ([0, 3, 0, 1.5, 0, 0, 0], AlarmRules(patience=2), [(1, 4)]),
        ([3, 0, 0, 3, 0, 0, 0, 3], AlarmRules(merge_gap=2), [(0, 4), (7, 8)]),
        ([3, 0, 0, 1.5, 3], AlarmRules(merge_gap=2), [(0, 1), (4, 5)]),
        ([3, 0, 3, 3, 3, 0], AlarmRules(cool_down=2), [(0, 1), (3, 5)]),
        ([2, 2, 1], AlarmRules(), []),
        ([], AlarmRules(), []),
    ],
)
def test_events_of_simple_scores(scores, rules, spans):
    assert [event[:2] for event in find_events(np.array(scores), UPPER, LOWER, rules)] == spans


@given(SCORES, RULES.filter(lambda rules: not rules.cool_down))
def test_events_are_runs_merged(scores, rules):
    assert find_events(np.array(scores), UPPER, LOWER, rules) == by_hand(scores, rules)


@given(SCORES, RULES)
def test_events_are_apart_and_begin_above_the_threshold(scores, rules):
    events = find_events(np.array(scores), UPPER, LOWER, rules)
    for event in events:
        assert event.start <= event.peak < event.end <= len(scores)
        assert scores[event.start] > UPPER
        assert scores[event.end - 1] > LOWER
        assert event.score == np.nanmax(scores[event.start : event.end]) == scores[event.peak]
    for before, after in pairwise(events):
        gap = after.start - before.end
        assert gap > rules.merge_gap
        assert gap >= max(rules.cool_down, rules.patience)
    if not rules.cool_down:
        inside = {t for event in events for t in range(event.start, event.end)}
        assert all(t in inside for t, score in enumerate(scores) if score > UPPER)


@given(SCORES, RULES, st.integers(0, 40))
def test_a_tracker_that_is_saved_and_resumed_returns_the_events_of_the_whole(scores, rules, cut):
    tracker, events = AlarmTracker(rules), []
    for t, score in enumerate(scores):
        if t == cut:
            tracker = AlarmTracker.from_dict(tracker.to_dict())
        events.append(tracker.step(score, UPPER, LOWER))
    events.append(tracker.finish())
    assert [event for event in events if event is not None] == find_events(np.array(scores), UPPER, LOWER, rules)


def test_a_tracker_tells_of_an_event_at_its_first_step_and_of_its_end_when_final():
    tracker = AlarmTracker(AlarmRules(patience=2, merge_gap=3))
    states = []
    for score in [0.0, 5, 0, 0, 0, 0, 0]:
        final = tracker.step(score, UPPER)
        states.append((tracker.in_alarm, tracker.event is not None, final is not None))
    assert states == [
        (False, False, False),
        (True, True, False),
        (True, True, False),
        (False, True, False),
        (False, True, False),
        (False, False, True),
        (False, False, False),
    ]


def test_thresholds_may_vary_and_probabilities_are_severities():
    probability = np.array([0.5, 1e-3, 1e-5, 1e-3, 0.0])
    events = find_events(severity(probability), severity(np.array([1e-4, 1e-4, 1e-4, 1e-4, 1e-2])), severity(1e-2))
    assert events == [Event(2, 5, 4, 300.0)]


def test_wrong_arguments_are_refused():
    for wrong in ({"patience": 0}, {"merge_gap": -1}, {"cool_down": -1}):
        with pytest.raises(ParameterError, match=next(iter(wrong))):
            AlarmRules(**wrong)
    with pytest.raises(ShapeError, match="upper"):
        find_events(np.zeros(3), np.zeros(2))
    with pytest.raises(ShapeError, match="scores"):
        find_events(np.zeros((3, 1)), 0.0)


def test_an_alarm_ends_with_the_anomaly_and_not_with_the_slow_score() -> None:
    raw = np.ones(200)
    raw[50:60] = 20
    raw[120:125] = 30
    slow, short = np.zeros(200), np.zeros(200)
    for step in range(1, 200):
        slow[step] = slow[step - 1] + (raw[step] - slow[step - 1]) / 40
        short[step] = short[step - 1] + (raw[step] - short[step - 1]) / 3
    switch = AlarmSwitch(usual=1.5, patience=3)
    alarms = np.array([switch.step(*row) for row in zip(slow, np.full(200, 1.3), short, strict=True)])
    events = runs_of(alarms, slow)
    assert [(event.start, event.peak) for event in events] == [(51, 59), (120, 124)]
    assert [event.end < start + 25 for event, start in zip(events, (50, 120), strict=True)] == [True, True]
    assert (slow[events[0].end : 119] > 1.3).all()
    (merged,) = runs_of(alarms, slow, merge_gap=100)
    assert (merged.start, merged.end) == (51, events[1].end)
    assert runs_of(np.zeros(5, bool), np.zeros(5)) == []


@given(st.lists(st.booleans(), max_size=40), st.integers(0, 6))
def test_alarms_are_apart_by_the_cool_down_and_as_early_as_that_allows(flags: list[bool], steps: int) -> None:
    cool_down = CoolDown(steps)
    shown = [cool_down.step(flag) for flag in flags]
    for t, flag in enumerate(flags):
        earlier = [k for k in range(t) if shown[k]]
        assert shown[t] == (flag and (not earlier or earlier[-1] == t - 1 or t - 1 - earlier[-1] >= steps))
