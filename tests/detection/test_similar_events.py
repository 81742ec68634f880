"""Which events are alike: their channels, their shape and how long they last."""

import numpy as np
import pytest

from recurra.detection.similar import SIMILAR, EventPattern, event_distance, event_pattern, most_similar


def pattern(channel: int, size: float, rows: int, start: int = 10, bump: bool = False) -> EventPattern:
    """Of an event on one of three channels: a shift, or a bump that rises and falls."""
    parts, deviations = np.full((400, 3), 0.01), np.zeros((400, 3))
    end = start + rows
    course = np.sin(np.linspace(0, np.pi, rows)) if bump else np.ones(rows)
    deviations[start:end, channel] = size * course
    parts[start:end, channel] += abs(size) * course
    return event_pattern(parts[start:end], deviations[start:end])


def test_an_event_is_itself_at_another_place_and_size() -> None:
    assert event_distance(pattern(0, 3, 40), pattern(0, 3, 40)) == pytest.approx(0, abs=1e-9)
    assert event_distance(pattern(0, 3, 40), pattern(0, 6, 40, start=200)) < 0.05


@pytest.mark.parametrize(
    "other",
    [pattern(1, 3, 40), pattern(0, -3, 40), pattern(0, 3, 3), pattern(2, 3, 300, bump=True)],
    ids=["another channel", "downward", "short", "all of it"],
)
def test_other_events_are_not_similar(other: EventPattern) -> None:
    distance = event_distance(pattern(0, 3, 40), other)
    assert SIMILAR < distance <= 1
    assert event_distance(other, pattern(0, 3, 40)) == pytest.approx(distance, abs=0.06)  # shifted the other way


def test_the_shape_tells_events_of_one_channel_apart() -> None:
    shift, bump = pattern(0, 3, 40), pattern(0, 3, 40, bump=True)
    again = pattern(0, 4, 44, start=100, bump=True)
    assert most_similar(again, [shift, bump]) == (1, event_distance(again, bump))
    assert most_similar(again, []) is None


def test_what_is_missing_is_no_deviation() -> None:
    parts, deviations = np.ones((20, 2)), np.full((20, 2), np.nan)
    found = event_pattern(parts[3:9], deviations[3:9])
    assert not found.shape.any()
    np.testing.assert_allclose(found.fractions, 0.5)
    assert np.isfinite(event_distance(found, pattern_of_two := event_pattern(parts[3:9], np.ones((6, 2)))))
    assert event_distance(pattern_of_two, found) <= 1


def test_a_later_point_is_the_same_event() -> None:
    parts = np.ones((60, 1))
    early, late = np.zeros((60, 1)), np.zeros((60, 1))
    early[10:14], late[14:18] = 5.0, 5.0
    assert event_distance(*(event_pattern(parts[8:40], one[8:40]) for one in (early, late))) < SIMILAR
