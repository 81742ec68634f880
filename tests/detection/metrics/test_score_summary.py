"""Scores of a detector over several series are those of the metrics they are made of."""

import numpy as np
import pytest

from recurra.detection.metrics.events import point_adjusted
from recurra.detection.metrics.nab import NabSeries, nab_score
from recurra.detection.metrics.points import point_scores
from recurra.detection.metrics.ranges import range_scores
from recurra.detection.metrics.summary import (
    Detector,
    area_scores,
    early_scores,
    event_summary,
    point_adjusted_scores,
    range_summary,
)
from recurra.detection.metrics.vus import volumes_under_surface
from recurra.errors import ParameterError


def flags(steps: int, *runs: tuple[int, int]) -> np.ndarray:
    marked = np.zeros(steps, bool)
    for start, end in runs:
        marked[start:end] = True
    return marked


LABELS = [flags(200, (60, 70), (150, 160)), flags(100, (50, 60)), flags(80)]
ALARMS = [flags(200, (65, 75), (100, 103)), flags(100, (58, 60)), flags(80, (79, 80))]
SCORES = [np.random.default_rng(k).random(len(one)) + one for k, one in enumerate(LABELS)]
DETECTOR = Detector(LABELS, SCORES, ALARMS)


def test_events_are_counted_over_all_series() -> None:
    scores = event_summary(DETECTOR, 3600.0)
    assert scores["event precision"] == pytest.approx(2 / 4)
    assert scores["event recall"] == pytest.approx(2 / 3)
    assert scores["event F1"] == pytest.approx(4 / 7)
    assert scores["false alarms a day"] == pytest.approx(2 * 24 / 380)
    assert scores["delay, rows"] == pytest.approx((5 + 8) / 2)
    assert event_summary(DETECTOR, None)["false alarms per 1000 rows"] == pytest.approx(2000 / 380)


def test_ranges_of_two_series_stay_apart() -> None:
    # The second series begins in alarm where the first ends: two ranges, and not one.
    labels, alarms = [flags(20, (15, 20)), flags(20, (0, 5))], [flags(20, (15, 20)), flags(20, (0, 10))]
    scores = range_summary(Detector(labels, [np.zeros(20)] * 2, alarms))
    single = [range_scores(*pair) for pair in zip(labels, alarms, strict=True)]
    assert scores["range precision"] == pytest.approx(np.mean([one.precision for one in single]))
    assert scores["range recall"] == pytest.approx(np.mean([one.recall for one in single]))


def test_areas_are_means_over_the_series_that_have_both() -> None:
    windows = [10, 20, 10]
    expected = [volumes_under_surface(LABELS[k], SCORES[k], windows[k]).pr for k in (0, 1)]
    assert area_scores(DETECTOR, windows)["VUS-PR"] == pytest.approx(np.mean(expected))


def test_the_profiles_of_nab() -> None:
    windows = ([(60, 69), (150, 159)], [(50, 59)], [])
    series = [NabSeries(scores, own) for scores, own in zip(SCORES, windows, strict=True)]
    profiles = ("standard", "reward_low_FP_rate", "reward_low_FN_rate")
    expected = [nab_score(series, profile).score for profile in profiles]
    assert list(early_scores(DETECTOR).values()) == pytest.approx(expected)
    assert early_scores(Detector([flags(100, (2, 5))], [np.arange(100.0)])) == {}


def test_point_adjustment_is_that_of_each_series() -> None:
    joined = [np.concatenate(LABELS), np.concatenate([point_adjusted(*p) for p in zip(LABELS, ALARMS, strict=True)])]
    assert point_adjusted_scores(DETECTOR)["point-adjusted F1"] == pytest.approx(point_scores(*joined).f1)


def test_scores_alone_have_no_events() -> None:
    with pytest.raises(ParameterError, match="a detector with alarms"):
        event_summary(Detector(LABELS, SCORES), None)
