from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.data.drawings.augmentation import merged, stretched
from recurra.data.drawings.simplification import in_box, resample, simplified, simplify
from recurra.data.drawings.strokes import lines_of, strokes_of

POINTS = st.lists(st.tuples(*[st.integers(-99, 99)] * 2), min_size=1, max_size=8)
LINES = st.lists(POINTS, min_size=1, max_size=5).map(lambda lines: [np.array(line, dtype=float) for line in lines])


@settings(max_examples=20)
@given(LINES)
def test_lines_are_what_strokes_were_made_of(lines: list[np.ndarray]) -> None:
    strokes = strokes_of(lines)
    again = lines_of(strokes)
    first = lines[0] if len(lines[0]) > 1 else np.repeat(lines[0], 2, axis=0)
    assert len(again) == len(lines)
    for line, expected in zip(again, [first, *lines[1:]], strict=True):
        np.testing.assert_allclose(line, expected - lines[0][0])
    np.testing.assert_array_equal(strokes_of(again), strokes)


@settings(max_examples=20)
@given(POINTS, st.floats(0.1, 50))
def test_no_point_is_farther_than_epsilon_from_the_simplified_line(
    points: list[tuple[int, int]], epsilon: float
) -> None:
    line = np.array(points, dtype=float)
    simple = simplify(line, epsilon)
    np.testing.assert_array_equal(simple[[0, -1]], line[[0, -1]])
    for point in line:
        near = []
        for a, b in pairwise(simple):
            t = np.clip((point - a) @ (b - a) / max((b - a) @ (b - a), 1e-12), 0, 1)
            near.append(np.hypot(*(point - a - t * (b - a))))
        assert min(near, default=0.0) <= epsilon + 1e-9


def test_simplification_by_hand() -> None:
    line = np.array([[0, 0], [1, 0.1], [2, -0.1], [3, 5], [4, 6], [5, 7], [6, 8.1], [7, 9], [8, 9], [9, 9]])
    # Worked by hand after the example that the algorithm is often shown with.
    np.testing.assert_array_equal(simplify(line, 1.0), line[[0, 2, 3, 7, 9]])
    np.testing.assert_array_equal(simplify(line, 0.0), line)
    circle = np.array([[0, 0], [5, 5], [0, 0]], dtype=float)
    np.testing.assert_array_equal(simplify(circle, 1.0), circle)


def test_points_are_one_apart_in_a_box_of_255() -> None:
    lines = [np.array([[100.0, 50.0], [200.0, 50.0]]), np.array([[150.0, 100.0]])]
    boxed = in_box(lines)
    np.testing.assert_allclose(boxed[0], [[0, 0], [255, 0]])
    np.testing.assert_allclose(boxed[1], [[127.5, 127.5]])
    dense = resample(np.array([[0.0, 0.0], [3.0, 0.0], [3.0, 2.5]]), 1.0)
    np.testing.assert_allclose(dense, [[0, 0], [1, 0], [2, 0], [3, 0], [3, 1], [3, 2], [3, 2.5]])
    assert [len(line) for line in simplified(lines, 2.0)] == [2, 1]
    # A drawing that is one dot has no size to scale by.
    np.testing.assert_array_equal(simplified([np.array([[7.0, 7.0]])], 2.0)[0], [[0, 0]])


@settings(max_examples=20)
@given(LINES, st.integers(0, 9))
def test_merging_leaves_out_points_within_lines_alone(lines: list[np.ndarray], seed: int) -> None:
    strokes = strokes_of(lines)
    fewer = lines_of(merged(strokes, 0.7, np.random.default_rng(seed)))
    assert len(fewer) == len(lines_of(strokes))
    for line, whole in zip(fewer, lines_of(strokes), strict=True):
        np.testing.assert_allclose(line[0], whole[0], atol=1e-3)
        np.testing.assert_allclose(line[-1], whole[-1], atol=1e-3)
        # Each point that is left is one of the line.
        distances = np.hypot(*(line[:, None] - whole[None]).transpose(2, 0, 1))
        assert distances.min(axis=1).max() < 1e-3


def test_stretching_multiplies_each_direction() -> None:
    strokes = np.array([[1, 2, 0], [3, -4, 1]], dtype=np.float32)
    generator = np.random.default_rng(0)
    factors = np.array([stretched(strokes, 0.2, generator)[:, :2] / strokes[:, :2] for _ in range(200)])
    assert np.ptp(factors, axis=1).max() < 1e-6
    assert factors.min() == pytest.approx(0.8, abs=0.02)
    assert factors.max() == pytest.approx(1.2, abs=0.02)
    assert stretched(strokes, 0.2, generator)[:, 2].tolist() == [0, 1]
