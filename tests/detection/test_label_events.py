"""Labels in time: events with hysteresis, runs of frames, and their F1 beside the true segments."""

import numpy as np
import pytest

from recurra.detection.label_events import Event, EventTracker, Segment, events_of_frames, segments_of_labels
from recurra.detection.metrics.label_segments import segment_f1
from recurra.errors import ParameterError


def test_events_begin_and_end_with_hysteresis() -> None:
    tracker = EventTracker(("a", "b", "c"), 0.7, 0.4)
    rows = [(0.5, 0.3, 0.2), (0.8, 0.1, 0.1), (0.45, 0.5, 0.05), (0.9, 0.1, 0), (0.1, 0.85, 0.05), (0.3, 0.35, 0.35)]
    ended = [tracker.step(float(k), np.array(row)) for k, row in enumerate(rows)]
    assert ended[:4] == [None] * 4
    assert ended[4] == Event("a", 1.0, 4.0, 0.9)
    assert ended[5] == Event("b", 4.0, 5.0, 0.85)
    assert tracker.finish(6.0) is None
    tracker.step(7.0, np.array((0.1, 0.1, 0.8)))
    assert tracker.finish(8.0) == Event("c", 7.0, 8.0, 0.8)
    for begin, end in ((0.5, 0.4), (0.7, 0.8), (0.7, 0.0)):
        with pytest.raises(ParameterError):
            EventTracker(("a", "b"), begin, end)


def test_runs_of_frames_are_events() -> None:
    probabilities = np.array([(0.9, 0.1), (0.2, 0.8), (0.4, 0.6), (0.7, 0.3)])
    [event] = events_of_frames(("none", "a"), probabilities, 2.0, "none")
    assert (event.label, event.start, event.end) == ("a", 0.5, 1.5)
    assert event.confidence == pytest.approx(0.7)
    assert segments_of_labels("aabca", "c") == [Segment("a", 0, 2), Segment("b", 2, 3), Segment("a", 4, 5)]
    assert segments_of_labels("", "c") == []


def test_segment_f1_worked_out_by_hand() -> None:
    true = [[Segment("a", 0, 10), Segment("b", 10, 20)], [Segment("a", 0, 4)]]
    # 0 to 5 has half of the true one, 5 to 10 the other half; b is missed by its label, and the last is whole.
    guessed = [[Segment("a", 0, 5), Segment("a", 5, 10), Segment("c", 10, 20)], [Segment("a", 0, 4)]]
    assert segment_f1(true, guessed, 0.5) == pytest.approx(2 * 2 / (3 + 4))
    assert segment_f1(true, guessed, 0.51) == pytest.approx(2 * 1 / (3 + 4))
    assert segment_f1(true, true, 1.0) == 1
    # That of another recording does not count.
    assert segment_f1([[Segment("a", 0, 4)], []], [[], [Segment("a", 0, 4)]], 0.1) == 0
    assert segment_f1([[]], [[]], 0.1) == 1
