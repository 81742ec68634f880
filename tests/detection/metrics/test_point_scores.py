"""Scores step by step are as by hand and as in scikit-learn."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_fscore_support

from recurra.detection.metrics.points import point_scores
from recurra.errors import ParameterError, ShapeError

ZERO: dict[str, Any] = {"zero_division": 0}


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_points_are_scored_as_in_scikit_learn(steps: list[tuple[bool, bool]]) -> None:
    labels, alarms = (np.array(column) for column in zip(*steps, strict=True))
    scores = point_scores(labels, alarms)
    expected = precision_recall_fscore_support(labels, alarms, average="binary", pos_label=True, **ZERO)
    assert (scores.precision, scores.recall, scores.f1) == pytest.approx(expected[:3])


def test_the_rates_of_false_and_of_missed_alarms_are_of_normal_and_of_anomalous_steps() -> None:
    scores = point_scores([0, 0, 0, 0, 1, 1, 1, 1, 1], [1, 0, 0, 0, 1, 1, 0, 0, 0])
    assert scores.false_alarm_rate == pytest.approx(1 / 4)
    assert scores.missed_alarm_rate == pytest.approx(3 / 5)
    assert scores.precision == pytest.approx(2 / 3)
    assert scores.recall == pytest.approx(2 / 5)
    assert scores.f1 == pytest.approx(1 / 2)


def test_a_rate_of_nothing_is_zero() -> None:
    normal = point_scores([0, 0], [0, 1])
    assert (normal.precision, normal.recall, normal.f1, normal.missed_alarm_rate) == (0, 0, 0, 0)
    assert point_scores([1, 1], [0, 1]).false_alarm_rate == 0


def test_labels_and_alarms_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ShapeError, match="alarms"):
        point_scores([0, 1], [0, 1, 1])
    with pytest.raises(ParameterError, match=r"alarms.*0\.5"):
        point_scores([0, 1], [0, 0.5])
    with pytest.raises(ParameterError, match=r"labels.*nan"):
        point_scores([float("nan"), 1], [0, 1])
