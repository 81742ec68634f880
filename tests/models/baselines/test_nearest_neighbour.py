import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.neighbors import KNeighborsClassifier

from made_classes import series
from recurra.data.labelled.label_set import LabelSet
from recurra.data.labelled.series_encoding import SeriesEncoding
from recurra.models.baselines.nearest_neighbour import NearestNeighbour, distances, fit_nearest_neighbour


def errors(predicted: torch.Tensor, target: torch.Tensor) -> float:
    return float((predicted != target).reshape(len(target), -1).any(1).sum())


def named(labels: LabelSet, target: torch.Tensor) -> list[tuple[str, ...]]:
    return labels.decode(labels.one_hot(target).numpy())


def warped(one: np.ndarray, other: np.ndarray, band: int) -> float:
    """The definition of dynamic time warping, cell by cell."""
    length = len(one)
    found = np.full((length + 1, length + 1), np.inf)
    found[0, 0] = 0
    for i in range(length):
        for j in range(length):
            if abs(i - j) <= band:
                cost = ((one[i] - other[j]) ** 2).sum()
                found[i + 1, j + 1] = cost + min(found[i, j + 1], found[i + 1, j], found[i, j])
    return found[length, length]


@pytest.mark.parametrize("window", [0.0, 0.25, 1.0])
def test_distances_are_those_of_the_best_path(window: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recurra.models.baselines.nearest_neighbour._PAIRS_AT_ONCE", 8)
    generator = np.random.default_rng(0)
    queries, given = (generator.normal(size=(n, 8, 2)).astype(np.float32) for n in (5, 3))
    expected = [[warped(one, other, round(8 * window)) for other in given] for one in queries]
    assert_allclose(distances(queries, given, window), expected, rtol=1e-4, atol=1e-4)


def waves(count: int, moved: bool, seed: int = 0) -> tuple[list[np.ndarray], list[tuple[str, ...]]]:
    """Up and down, or down and up, at a place of its own or always in the middle."""
    generator = np.random.default_rng(seed)
    found, labels = [], []
    for k in range(count):
        values, start = 0.05 * generator.normal(size=32), generator.integers(0, 26) if moved else 13
        values[start : start + 3] += 1 if k % 2 else -1
        values[start + 3 : start + 6] -= 1 if k % 2 else -1
        found.append(values[:, np.newaxis].astype(np.float32))
        labels.append(("up" if k % 2 else "down",))
    return found, labels


@pytest.mark.parametrize(("moved", "name"), [(False, "1-NN (Euclid)"), (True, "1-NN (DTW)")])
def test_the_window_is_that_of_the_fewest_errors_in_training(moved: bool, name: str) -> None:
    given, names = waves(30, moved)
    labels = LabelSet.of(names, "here")
    encoding = SeriesEncoding.of(given, ("x",))
    found = fit_nearest_neighbour(encoding, given, labels.encode(names), errors)
    assert found.name == name
    others, truth = waves(30, moved, 1)
    predicted = named(labels, found.predict(encoding, others))
    assert sum(one == other for one, other in zip(predicted, truth, strict=True)) >= 28
    if not moved:
        flat = [np.stack([encoding.encode(one).numpy().ravel() for one in part]) for part in (given, others)]
        expected = KNeighborsClassifier(1).fit(flat[0], [label for (label,) in names]).predict(flat[1])
        assert [label for (label,) in predicted] == expected.tolist()


def test_series_of_other_lengths_missing_values_and_several_labels() -> None:
    given, _ = series(12)
    given[3][1, 0] = np.nan
    names = [("a", "b"), ("a",), ()] * 4
    labels = LabelSet.of(names, "here")
    encoding = SeriesEncoding.of(given, ("x", "y"))
    found = fit_nearest_neighbour(encoding, given, labels.encode(names), errors)
    assert found.values.shape == (12, max(map(len, given)), 2)
    assert [set(one) for one in named(labels, found.predict(encoding, given))] == [set(one) for one in names]


def test_of_many_series_some_of_each_label_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recurra.models.baselines.nearest_neighbour._MOST_SERIES", 10)
    monkeypatch.setattr("recurra.models.baselines.nearest_neighbour._MOST_CELLS", 1600.0)
    given, names = waves(40, False)
    labels = LabelSet.of(names, "here")
    encoding = SeriesEncoding.of(given, ("x",))
    found = fit_nearest_neighbour(encoding, given, labels.encode(names), errors)
    assert found.values.shape == (10, 4, 1)
    assert found.target.bincount().tolist() == [5, 5]


def test_one_series() -> None:
    labels = LabelSet.of([("a",), ("b",)], "here")
    found = NearestNeighbour(torch.zeros(1, 3, 1), torch.tensor([1]), 0.0)
    encoding = SeriesEncoding.of([np.zeros((3, 1))], ("x",))
    assert named(labels, found.predict(encoding, [np.ones((5, 1))])) == [("b",)]
