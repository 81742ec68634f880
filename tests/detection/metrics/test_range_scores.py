"""Range-based precision and recall are as Tatbul et al. define them, and as the TSB-AD benchmark computes them."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from recurra.detection.metrics.ranges import range_scores
from recurra.errors import ParameterError


# pip install TSB-AD==1.5 (--no-deps, beside numpy 2.4.6 and scikit-learn 1.9.1), then, with
# grader = basic_metricor() of TSB_AD.evaluation.basic_metrics and both arrays as integers,
# grader.range_recall_new(alarms, labels, 0)[0], grader.range_recall_new(labels, alarms, 0.2)[0]
@pytest.mark.parametrize(
    ("seed", "precision", "recall"), [(0, 0.16919191919191917, 0.368), (1, 0.20833333333333331, 0.2746666666666667)]
)
def test_flat_ranges_are_scored_as_in_the_benchmark(seed: int, precision: float, recall: float) -> None:
    rng = np.random.default_rng(seed)
    labels = np.repeat(rng.random(60) < 0.2, 10)
    alarms = np.repeat(rng.random(200) < 0.3, 3)
    scores = range_scores(labels, alarms)
    assert scores.precision == pytest.approx(precision)
    assert scores.recall == pytest.approx(recall)


WEIGHTS: dict[str, Any] = {
    "flat": lambda i, n: 1,
    "front": lambda i, n: n - i + 1,
    "back": lambda i, n: i,
    "middle": lambda i, n: i if i <= n / 2 else n - i + 1,
}


def ranges(flags: NDArray[np.bool_]) -> list[set[int]]:
    found: list[set[int]] = []
    for step in np.flatnonzero(flags).tolist():
        if found and step - 1 in found[-1]:
            found[-1].add(step)
        else:
            found.append({step})
    return found


def reward(of: NDArray[np.bool_], by: NDArray[np.bool_], alpha: float, bias: str, cardinality: str) -> float:
    """The paper's sums, range by range and step by step."""
    rewards = []
    for one in ranges(of):
        weights = {step: WEIGHTS[bias](i, len(one)) for i, step in enumerate(sorted(one), start=1)}
        overlaps = [one & other for other in ranges(by) if one & other]
        overlap = sum(weights[step] for steps in overlaps for step in steps) / sum(weights.values())
        factor = 1 / len(overlaps) if cardinality == "reciprocal" and overlaps else 1
        rewards.append(alpha * bool(overlaps) + (1 - alpha) * factor * overlap)
    return sum(rewards) / len(rewards) if rewards else 0


@given(
    st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30),
    st.sampled_from([0, 0.3, 1]),
    st.sampled_from(list(WEIGHTS)),
    st.sampled_from(list(WEIGHTS)),
    st.sampled_from(["reciprocal", "one"]),
)
def test_ranges_are_scored_as_defined(
    steps: list[tuple[bool, bool]], alpha: float, bias: Any, alarm_bias: Any, cardinality: Any
) -> None:
    labels, alarms = (np.array(column) for column in zip(*steps, strict=True))
    options = {"existence_weight": alpha, "bias": bias, "alarm_bias": alarm_bias, "cardinality": cardinality}
    scores = range_scores(labels, alarms, **options)
    assert scores.recall == pytest.approx(reward(labels, alarms, alpha, bias, cardinality))
    assert scores.precision == pytest.approx(reward(alarms, labels, 0, alarm_bias, cardinality))
    if labels.any():
        assert range_scores(labels, labels, **options).f1 == pytest.approx(1)


def test_a_bias_to_the_front_rewards_early_alarms() -> None:
    labels = np.array([0, 1, 1, 1, 1, 0])
    early, late = np.array([0, 1, 1, 0, 0, 0]), np.array([0, 0, 0, 1, 1, 0])
    assert range_scores(labels, early, bias="front").recall == pytest.approx(0.2 + 0.8 * 7 / 10)
    assert range_scores(labels, late, bias="front").recall == pytest.approx(0.2 + 0.8 * 3 / 10)
    assert range_scores(labels, late, bias="back").recall == pytest.approx(0.2 + 0.8 * 7 / 10)


@pytest.mark.parametrize(
    "options", [{"existence_weight": 1.5}, {"bias": "end"}, {"alarm_bias": "end"}, {"cardinality": "two"}], ids=str
)
def test_an_invalid_option_is_refused_by_name(options: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match=next(iter(options))):
        range_scores([0, 1], [0, 1], **options)
