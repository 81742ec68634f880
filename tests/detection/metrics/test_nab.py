"""The score of the Numenta Anomaly Benchmark, by its paper's rules and by its published results."""

import csv
import gzip
import json
import math
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from recurra.detection.metrics.nab import NAB_PROFILES, NabProfile, NabSeries, nab_score
from recurra.errors import ParameterError, ShapeError

NAN = float("nan")
HERE = Path(__file__).resolve().parents[3]
NAB = Path(os.environ.get("RECURRA_DATA", HERE / ".." / "shared" / "data")) / "nab"


def sigmoid(position: float) -> float:
    return -1 if position > 3 else 2 / (1 + math.exp(5 * position)) - 1


def raw_score(corpus: list[NabSeries], profile: NabProfile, threshold: float) -> float:
    """The sum over windows, of the first alarm or of what is missed, and over false alarms."""
    total = 0.0
    for series in corpus:
        scores: list[float] = np.asarray(series.scores).tolist()
        alarms = [i for i, score in enumerate(scores) if score >= threshold and i >= min(len(scores) * 15 // 100, 750)]
        for first, last in series.windows:
            hits = [i for i in alarms if first <= i <= last]
            position = -(last - hits[0] + 1) / (last - first + 1) if hits else 0
            total += profile.detected * sigmoid(position) / sigmoid(-1) if hits else -profile.missed
        for i in alarms:
            if not any(first <= i <= last for first, last in series.windows):
                before = [window for window in series.windows if window[1] < i]
                first, last = before[-1] if before else (0, -math.inf)
                total += profile.false_alarm * sigmoid((i - last) / (last - first) if last > first else math.inf)
    return total


@st.composite
def corpora(draw: st.DrawFn) -> list[NabSeries]:
    corpus = []
    for _ in range(draw(st.integers(1, 3))):
        steps = draw(st.integers(12, 40))
        scores = draw(st.lists(st.integers(0, 5), min_size=steps, max_size=steps))
        bounds = draw(st.lists(st.integers(6, steps - 1), min_size=2, max_size=6, unique=True).map(sorted))
        corpus.append(NabSeries(scores, [(a, b) for a, b in zip(bounds[::2], bounds[1::2], strict=False)]))
    return corpus


@given(corpora(), st.sampled_from(sorted(NAB_PROFILES)), st.integers(0, 6))
def test_the_score_is_as_in_the_paper(corpus: list[NabSeries], name: str, threshold: int) -> None:
    profile = NAB_PROFILES[name]
    windows = sum(len(series.windows) for series in corpus)
    score = nab_score(corpus, name, threshold)
    assert score.raw == pytest.approx(raw_score(corpus, profile, threshold))
    assert score.score == pytest.approx(100 * (score.raw / windows + profile.missed) / (1 + profile.missed))
    best = nab_score(corpus, profile)
    every = [raw_score(corpus, profile, value) for value in (*range(6), math.inf)]
    assert best.raw == pytest.approx(max(every))
    assert best.raw == pytest.approx(raw_score(corpus, profile, best.threshold))


@pytest.mark.parametrize("profile", NAB_PROFILES)
def test_the_null_and_the_perfect_detector_have_0_and_100(profile: str) -> None:
    perfect = np.zeros(100)
    perfect[[40, 70]] = 1
    windows = [(40, 49), (70, 89)]
    assert nab_score([NabSeries(perfect, windows)], profile).score == pytest.approx(100)
    assert nab_score([NabSeries(perfect, windows)], profile).threshold == 1
    assert nab_score([NabSeries(perfect, windows)], profile, threshold=2).score == pytest.approx(0)
    # One threshold for all steps: every step raises an alarm, which costs more than it earns in a long series.
    assert nab_score([NabSeries(np.zeros(1000), [(500, 510)])], profile).score == 0
    assert nab_score([NabSeries(np.zeros(1000), [(500, 510)])], profile).threshold == math.inf


def test_earlier_alarms_earn_more_and_far_ones_cost_more() -> None:
    def score(step: int) -> float:
        return nab_score([NabSeries(np.arange(100) == step, [(50, 59)])], threshold=1).raw

    inside = [score(step) for step in range(50, 60)]
    assert inside == sorted(inside, reverse=True)
    assert inside[-1] > 0
    behind = [score(step) for step in range(60, 100)]
    assert behind == sorted(behind, reverse=True)
    assert behind[-1] == pytest.approx(score(20)) == pytest.approx(-1.11)


def test_alarms_in_the_probation_do_not_count() -> None:
    for steps, probation in ((1000, 150), (10_000, 750)):
        windows = [(steps - 50, steps - 1)]
        before, after = (np.arange(steps) == step for step in (probation - 1, probation))
        assert nab_score([NabSeries(before, windows)], threshold=1).raw == -1
        assert nab_score([NabSeries(after, windows)], threshold=1).raw == pytest.approx(-1.11)


def test_a_window_may_be_one_step_and_times_may_be_of_any_kind() -> None:
    scores = np.random.default_rng(0).random(60)
    expected = nab_score([NabSeries(scores, [(20, 20), (30, 44)])])
    start = datetime(2014, 2, 3)
    times = [start + timedelta(hours=step) for step in range(60)]
    of_times = [(times[20], times[20]), (times[30], times[44])]
    assert nab_score([NabSeries(scores, of_times, times)]) == expected
    stamps = np.array(times, dtype="datetime64[s]")
    assert nab_score([NabSeries(scores, [(str(a), str(b)) for a, b in of_times], stamps)]) == expected
    assert nab_score([NabSeries(scores, [(20.5, 20.5), (30.5, 44.5)], np.arange(60) + 0.5)]) == expected


@pytest.mark.parametrize(
    ("series", "error", "fact"),
    [
        (NabSeries([0.0] * 20, [(10, 25)]), ParameterError, r"series\[0\].windows"),
        (NabSeries([0.0] * 20, [(12, 10)]), ParameterError, "windows"),
        (NabSeries([0.0] * 20, [(5, 10), (10, 12)]), ParameterError, "overlap"),
        (NabSeries([0.0] * 20, [(5, 10.5)]), ParameterError, "windows"),
        (NabSeries([0.0] * 20, []), ParameterError, "window"),
        (NabSeries([0.0] * 20, [(0, 2)]), ParameterError, "window"),
        (NabSeries([NAN] * 20, [(5, 10)]), ParameterError, r"series\[0\].scores"),
        (NabSeries([[0.0] * 20], [(5, 10)]), ShapeError, "scores"),
        (NabSeries([0.0] * 20, [(5, 10)], np.arange(19)), ShapeError, "times"),
        (NabSeries([0.0] * 20, [(5, 30)], np.arange(20)), ParameterError, "30"),
    ],
)
def test_what_has_no_score_is_refused(series: NabSeries, error: type[Exception], fact: str) -> None:
    with pytest.raises(error, match=fact):
        nab_score([series])


def test_an_unknown_profile_is_refused() -> None:
    with pytest.raises(ParameterError, match="reward_low_FP_rate"):
        nab_score([NabSeries([0.0, 1.0], [(1, 1)])], "lenient")
    with pytest.raises(ParameterError, match="series"):
        nab_score([])


def windowed_gaussian(values: NDArray[np.float64]) -> list[float]:
    """NAB's baseline: the probability of a less extreme value, by the last 6,400 steps, with the digits of its files.

    The window begins with the series, and once it is full it moves by 100 steps at a time.
    """
    centred = values - values[0]
    first, second = (np.concatenate(([0.0], np.cumsum(moment))) for moment in (centred, centred**2))
    steps = np.arange(1, len(values))
    starts = np.maximum(steps - 6400, 0) // 100 * 100
    ends = np.minimum(steps, starts + 6400)
    means = (first[ends] - first[starts]) / (ends - starts)
    variances = (second[ends] - second[starts]) / (ends - starts) - means**2
    deviations = np.sqrt(np.maximum(variances, 0))
    deviations[deviations == 0] = 1e-6
    distances = np.abs(centred[1:] - means) / deviations / math.sqrt(2)
    return [0.0, *(float(f"{1 - math.erfc(distance) / 2:.12g}") for distance in distances.tolist())]


def read_values(path: Path) -> tuple[Any, NDArray[np.float64]]:
    with gzip.open(path, "rt") as file:
        times, values = zip(*list(csv.reader(file))[1:], strict=True)
    return np.array(times, dtype="datetime64[s]"), np.array(values, dtype=float)


@pytest.mark.slow
def test_the_windowed_gaussian_detector_scores_as_published() -> None:
    """results/final_results.json of NAB 1.1, and the sums of its windowedGaussian_*_scores.csv."""
    if not NAB.exists():
        pytest.skip(f"NAB is not in {NAB}; set RECURRA_DATA to a folder that has it")
    corpus = []
    for name, windows in json.loads((NAB / "combined_windows.json").read_text()).items():
        times, values = read_values(NAB / "data" / f"{name}.gz")
        corpus.append(NabSeries(windowed_gaussian(values), windows, times))
    assert len(corpus) == 58
    for profile, raw, published in (
        ("standard", -24.0131054891, 39.649523496077585),
        ("reward_low_FP_rate", -67.5862728866, 20.86798582474138),
        ("reward_low_FN_rate", -67.0131054891, 47.4100271583046),
    ):
        score = nab_score(corpus, profile)
        assert score.threshold == 1
        assert score.raw == pytest.approx(raw, abs=1e-6)
        assert score.score == pytest.approx(published, abs=1e-6)
