"""Areas under curves are scikit-learn's; the oracle's F1 is the best there is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from recurra.detection.metrics.curves import average_precision, oracle_f1, roc_area
from recurra.detection.metrics.points import point_scores
from recurra.errors import ParameterError, ShapeError

INF = float("inf")
# Whole numbers make ties.
series = st.lists(st.tuples(st.booleans(), st.integers(-5, 5)), min_size=2, max_size=40).filter(
    lambda steps: len({label for label, _ in steps}) == 2
)


@given(series)
def test_the_areas_are_those_of_scikit_learn(steps: list[tuple[bool, int]]) -> None:
    labels, scores = (np.array(column) for column in zip(*steps, strict=True))
    assert average_precision(labels, scores) == pytest.approx(average_precision_score(labels, scores))
    assert roc_area(labels, scores) == pytest.approx(roc_auc_score(labels, scores))


@given(series)
def test_no_threshold_has_a_better_f1_than_the_oracle(steps: list[tuple[bool, int]]) -> None:
    labels, scores = (np.array(column) for column in zip(*steps, strict=True))
    oracle = oracle_f1(labels, scores)
    by_threshold = {threshold: point_scores(labels, scores >= threshold) for threshold in scores}
    assert oracle.f1 == pytest.approx(max(points.f1 for points in by_threshold.values()))
    chosen = by_threshold[oracle.threshold]
    assert (oracle.precision, oracle.recall) == pytest.approx((chosen.precision, chosen.recall))


@given(series)
def test_only_the_order_of_scores_matters(steps: list[tuple[bool, int]]) -> None:
    labels, scores = (np.array(column) for column in zip(*steps, strict=True))
    monotone = np.exp(scores / 3) - 7
    assert average_precision(labels, monotone) == average_precision(labels, scores)
    assert roc_area(labels, monotone) == roc_area(labels, scores)
    assert oracle_f1(labels, monotone).f1 == oracle_f1(labels, scores).f1


def test_perfect_and_random_scores() -> None:
    rng = np.random.default_rng(1)
    labels = rng.random(20_000) < 0.1
    assert average_precision(labels, labels) == 1
    assert roc_area(labels, labels) == 1
    assert oracle_f1(labels, labels).f1 == 1
    scores = rng.random(20_000)
    assert average_precision(labels, scores) == pytest.approx(0.1, abs=0.01)
    assert roc_area(labels, scores) == pytest.approx(0.5, abs=0.02)


def test_an_infinite_score_is_the_highest() -> None:
    assert average_precision([1, 0, 1, 0], [INF, -INF, INF, 0.0]) == 1
    assert oracle_f1([1, 0, 1, 0], [INF, -INF, INF, 0.0]).threshold == INF


def test_all_steps_may_be_anomalous_where_no_rate_needs_normal_ones() -> None:
    assert average_precision([1, 1], [0.0, 1.0]) == 1
    assert oracle_f1([1, 1], [0.0, 1.0]).f1 == 1
    with pytest.raises(ParameterError, match="labels"):
        roc_area([1, 1], [0.0, 1.0])


@pytest.mark.parametrize("metric", [average_precision, roc_area, oracle_f1])
def test_scores_without_a_curve_are_refused(metric) -> None:
    with pytest.raises(ParameterError, match="labels"):
        metric([0, 0], [0.0, 1.0])
    with pytest.raises(ParameterError, match="step 0"):
        metric([0, 1], [float("nan"), 1.0])
    with pytest.raises(ShapeError, match="scores"):
        metric([0, 1], [1.0])
