"""VUS-ROC and VUS-PR are those of the TSB-AD benchmark's own package."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from recurra.detection.metrics.vus import volumes_under_surface
from recurra.errors import ParameterError, ShapeError


def a_series(
    seed: int, steps: int, events: int, digits: int | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Labels with about so many events of 1 to 19 steps, and scores that are higher in them."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(steps, dtype=np.int64)
    for start in rng.integers(0, steps, events):
        labels[start : start + rng.integers(1, 20)] = 1
    scores = rng.random(steps) + labels * rng.random(steps)
    return labels, scores if digits is None else scores.round(digits)


# pip install TSB-AD==1.5 (--no-deps, beside numpy 2.4.6 and scikit-learn 1.9.1), then for each case
# *_, roc, pr = generate_curve(*a_series(seed, steps, events, digits), window, "opt", 250)
# with generate_curve of TSB_AD.evaluation.basic_metrics.
CASES = [
    (0, 400, 4, None, 20, 0.8793654167846461, 0.38119169375046963),
    (1, 1000, 30, 1, 25, 0.9166769930731011, 0.8119413419486818),
    (2, 180, 3, None, 0, 0.8397777777777778, 0.7121357157146769),
    (3, 700, 60, None, 101, 0.9816130251240361, 0.9882633205288693),
    (4, 300, 1, 1, 7, 0.8692751663617717, 0.5675879717909533),
]


@pytest.mark.parametrize(("seed", "steps", "events", "digits", "window", "roc", "pr"), CASES)
def test_the_volumes_are_those_of_the_benchmark(
    seed: int, steps: int, events: int, digits: int | None, window: int, roc: float, pr: float
) -> None:
    volumes = volumes_under_surface(*a_series(seed, steps, events, digits), window)
    assert volumes.roc == pytest.approx(roc, abs=1e-12)
    assert volumes.pr == pytest.approx(pr, abs=1e-12)


def by_definition(
    labels: NDArray[np.int64], scores: NDArray[np.float64], window: int, thresholds: int
) -> tuple[float, float]:
    """The same, step by step and event by event."""
    steps = len(labels)
    events = np.split(np.flatnonzero(labels), np.flatnonzero(np.diff(np.flatnonzero(labels)) > 1) + 1)
    limits = np.sort(scores)[::-1][np.linspace(0, steps - 1, thresholds).astype(int)]
    roc = pr = 0.0
    for width in range(window + 1):
        soft = labels.astype(float)
        groups = [[*events[0]]]
        for event in events:
            for step in range(steps):
                distance = max(event[0] - step, step - event[-1])
                if 0 < distance <= width // 2:
                    soft[step] += np.sqrt(1 - distance / width)
        for event in events[1:]:
            if event[0] - groups[-1][-1] <= 2 * (width // 2):
                groups[-1] += [*event]
            else:
                groups.append([*event])
        soft = soft.clip(max=1)
        points, precisions = [(0.0, 0.0)], []
        for limit in limits:
            alarms = scores >= limit
            hits = (soft * alarms).sum()
            positives = (labels.sum() + np.where(labels, 1, soft * alarms).sum()) / 2
            reach = width // 2
            reached = np.mean([alarms[max(group[0] - reach, 0) : group[-1] + reach + 1].any() for group in groups])
            points.append((min(hits / positives, 1) * reached, (alarms.sum() - hits) / (steps - positives)))
            precisions.append(hits / alarms.sum())
        recalls, false_rates = np.array([*points, (1.0, 1.0)]).T
        roc += (np.diff(false_rates) * (recalls[1:] + recalls[:-1]) / 2).sum() / (window + 1)
        pr += (np.diff(recalls[:-1]) * precisions).sum() / (window + 1)
    return roc, pr


@given(st.data(), st.integers(0, 9), st.sampled_from([2, 3, 17]))
def test_the_volumes_are_as_defined(data: st.DataObject, window: int, thresholds: int) -> None:
    """Events at the ends of the series, events that reach each other, ties of scores."""
    labels = np.array(data.draw(st.lists(st.integers(0, 1), min_size=2, max_size=25).filter(lambda x: len({*x}) == 2)))
    scores = np.array(data.draw(st.lists(st.integers(0, 6), min_size=len(labels), max_size=len(labels))), dtype=float)
    volumes = volumes_under_surface(labels, scores, window, thresholds)
    assert (volumes.roc, volumes.pr) == pytest.approx(by_definition(labels, scores, window, thresholds), abs=1e-12)
    assert 0 <= volumes.pr <= 1
    assert 0 <= volumes.roc <= 1
    monotone = volumes_under_surface(labels.astype(bool), np.exp(scores) - 100, window, thresholds)
    assert monotone == volumes


def test_perfect_scores_have_the_volume_one_without_a_window() -> None:
    labels = np.arange(1000) % 100 < 10
    assert volumes_under_surface(labels, labels, window=0).pr == pytest.approx(1)
    assert volumes_under_surface(labels, labels, window=0).roc == pytest.approx(1)
    assert volumes_under_surface(labels, 1 - labels, window=0).roc == pytest.approx(0)


def test_random_scores_are_near_the_fraction_of_anomalous_steps() -> None:
    rng = np.random.default_rng(0)
    labels = np.zeros(20_000, dtype=bool)
    labels[5000:6000] = True
    volumes = volumes_under_surface(labels, rng.random(20_000), window=0)
    assert volumes.pr == pytest.approx(0.05, abs=0.01)
    assert volumes.roc == pytest.approx(0.5, abs=0.02)


def test_a_score_beside_an_event_counts_with_a_window() -> None:
    labels, scores = np.zeros(500), np.zeros(500)
    labels[200:210], scores[212:215] = 1, 1
    without, near = (volumes_under_surface(labels, scores, window).pr for window in (0, 20))
    assert near > 2 * without


@pytest.mark.parametrize(
    ("labels", "scores", "window", "error", "fact"),
    [
        ([0, 0, 0], [1.0, 2.0, 3.0], 1, ParameterError, "labels"),
        ([1, 1, 1], [1.0, 2.0, 3.0], 1, ParameterError, "labels"),
        ([0, 2, 1], [1.0, 2.0, 3.0], 1, ParameterError, "2"),
        ([0, 1, 1], [1.0, float("nan"), 3.0], 1, ParameterError, "step 1"),
        ([0, 1, 1], [1.0, 2.0], 1, ShapeError, "scores"),
        ([[0, 1, 1]], [1.0, 2.0, 3.0], 1, ShapeError, "labels"),
        ([], [], 1, ShapeError, "labels"),
        ([0, 1, 1], [1.0, 2.0, 3.0], -1, ParameterError, "window"),
        ([0, 1, 1], [1.0, 2.0, 3.0], True, ParameterError, "window"),
    ],
)
def test_what_has_no_volume_is_refused(
    labels: list[int], scores: list[float], window: int, error: type[Exception], fact: str
) -> None:
    with pytest.raises(error, match=fact):
        volumes_under_surface(labels, scores, window)


def test_one_threshold_is_refused() -> None:
    with pytest.raises(ParameterError, match="thresholds"):
        volumes_under_surface([0, 1], [0.0, 1.0], window=1, thresholds=1)
