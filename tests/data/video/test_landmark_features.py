"""Features of landmarks: where points are, how fast they move, and what sensors measured."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from made_motion import motion
from recurra.data.video.augmentation import part_of, seen_aside, stretch_of
from recurra.data.video.augmentation_options import MotionAugmentation
from recurra.data.video.features import LandmarkFeatures, resampled, sensor_windows
from recurra.data.video.landmarks import Landmarks


def features(centre: str = "frame", scale: str = "none", speeds: bool = True, channels: int = 0) -> LandmarkFeatures:
    return LandmarkFeatures(10.0, centre, scale, speeds, 2, 2, channels)  # type: ignore[arg-type]


def test_values_worked_out_by_hand() -> None:
    # A pair of points a metre apart that goes right at 1 m/s, and grows at the end.
    points = np.array([[[0, 0], [0, 1]], [[0.1, 0], [0.1, 1]], [[0.2, -1], [0.2, 2]]])
    landmarks = Landmarks.of(points, None, 10.0, "x")
    own = features()(landmarks)
    assert own.shape == (3, features().size) == (3, 10)
    np.testing.assert_allclose(own[:, :4], [[0, -0.5, 0, 0.5]] * 2 + [[0, -1.5, 0, 1.5]], atol=1e-6)
    np.testing.assert_allclose(own[:, 4:8], [[0] * 4] * 2 + [[0, -10, 0, 10]], atol=1e-5)
    np.testing.assert_allclose(own[:, 8:], [[0, 0], [1, 0], [1, 0]], atol=1e-5)
    clip = features("clip", speeds=False)(landmarks)
    np.testing.assert_allclose(clip[:, 0], [0, 0.1, 0.2], atol=1e-6)
    np.testing.assert_allclose(features("none", speeds=False)(landmarks), points.reshape(3, 4), atol=1e-6)
    size = (0.5 + 0.5 + 1.5) / 3
    np.testing.assert_allclose(features(scale="clip")(landmarks), own / size, rtol=1e-5, atol=1e-5)
    so_far = np.array([0.5, 0.5, size])[:, None]
    np.testing.assert_allclose(features(scale="so_far")(landmarks), own / so_far, rtol=1e-5, atol=1e-5)
    assert len(set(features(channels=3).names)) == features(channels=3).size == 16
    assert LandmarkFeatures.from_json(features().to_json()) == features()


def test_clips_are_resampled_by_their_times() -> None:
    times = np.array([0, 0.05, 0.3, 0.4])
    points = np.repeat(times[:, None, None], 2, 2).repeat(2, 1)
    landmarks = Landmarks.of(points, times, 30.0, "x")
    np.testing.assert_allclose(features("none", speeds=False)(landmarks)[:, 0], np.arange(5) / 10, atol=1e-6)
    slow = features("none", speeds=False)(landmarks, stretch=2.0)
    np.testing.assert_allclose(slow[:, 0], np.arange(9) / 20, atol=1e-6)
    assert resampled(points[:1], times[:1], np.arange(3.0)).shape == (3, 2, 2)
    # A clip of a frame has one step, and does not move.
    assert not features()(Landmarks.of(points[:1], None, 30.0, "x"))[:, 4:].any()


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9))
def test_windows_of_sensors(measurements: int, frames: int) -> None:
    values = np.random.default_rng(measurements).normal(size=(measurements, 2))
    windows = sensor_windows(values, frames)
    assert windows.shape == (frames, 4)
    edges = np.linspace(0, measurements, frames + 1)
    for k in range(frames):
        first = min(int(np.floor(edges[k])), measurements - 1)
        own = values[first : max(int(np.ceil(edges[k + 1])), first + 1)]
        np.testing.assert_allclose(windows[k], [*own.mean(0), *own.std(0)], atol=1e-7)


def test_rotations_keep_distances_and_do_nothing_at_zero() -> None:
    landmarks = motion("open", 1, sensors=True)
    generator = np.random.default_rng(0)
    turned = seen_aside(landmarks, MotionAugmentation(rotation=40, sensor_rotation=40, proportions=0), generator)
    assert not np.allclose(turned.points, landmarks.points, atol=1)
    for frame in (0, 5):
        own, other = turned.points[frame], landmarks.points[frame]
        np.testing.assert_allclose(
            np.linalg.norm(own - own[:1], axis=1), np.linalg.norm(other - other[:1], axis=1), rtol=1e-3, atol=1e-2
        )
    assert turned.sensors is not None
    assert landmarks.sensors is not None
    np.testing.assert_allclose(
        np.linalg.norm(turned.sensors, axis=1), np.linalg.norm(landmarks.sensors, axis=1), rtol=1e-4
    )
    same = seen_aside(landmarks, MotionAugmentation(rotation=0, sensor_rotation=0, proportions=0), generator)
    assert same.points is landmarks.points
    assert stretch_of(MotionAugmentation(stretch=0), generator) == 1
    stretches = [stretch_of(MotionAugmentation(stretch=0.25), generator) for _ in range(200)]
    assert min(stretches) >= 0.8
    assert max(stretches) <= 1.25
    assert np.mean(np.log(stretches)) == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize(
    ("centre", "scale", "speeds"), [("frame", "so_far", True), ("clip", "so_far", True), ("none", "none", False)]
)
def test_frame_by_frame_is_the_whole(centre: str, scale: str, speeds: bool) -> None:
    points = np.random.default_rng(1).normal(0, 300, (7, 2, 2)).astype(np.float32) + 1000
    make = features(centre, scale, speeds)
    memory = {name: np.zeros(size, np.float32) for name, size in make.memory}
    steps = np.stack([make.step(frame, None, memory) for frame in points])
    np.testing.assert_allclose(steps, make(Landmarks.of(points, None, 10.0, "x")), rtol=1e-3, atol=1e-2)


def test_proportions_make_points_wider_apart_along_each_axis() -> None:
    landmarks = motion("open", 1)
    options = MotionAugmentation(rotation=0, proportions=0.5)
    other = seen_aside(landmarks, options, np.random.default_rng(0)).points
    own, middle = landmarks.points, landmarks.points.mean((0, 1))
    factors = (other - middle) / (own - middle)
    for axis in range(3):
        factor = np.median(factors[:, :, axis])
        assert 1 / 1.5 <= factor <= 1.5
        np.testing.assert_allclose(
            other[:, :, axis] - middle[axis], factor * (own[:, :, axis] - middle[axis]), atol=0.1
        )


def test_parts_of_clips() -> None:
    landmarks = Landmarks.of(np.arange(40.0).reshape(20, 1, 2), None, 10.0, "x")
    generator = np.random.default_rng(0)
    assert part_of(landmarks, 0.0, 0.0, generator) == (landmarks, 0.0)
    for trim, seconds in ((0.3, 0.0), (0.0, 0.5), (0.2, 0.4)):
        for _ in range(20):
            part, start = part_of(landmarks, trim, seconds, generator)
            assert part.points[0, 0, 0] == pytest.approx(20 * start)
            assert part.times[0] == 0
            assert part.seconds <= (seconds or 2.0) + 1e-6
            assert trim > 0 or start + part.seconds <= landmarks.seconds + 1e-6
    # Something is left of a clip of two frames, and of one.
    for count in (1, 2):
        assert len(part_of(Landmarks.of(np.zeros((count, 1, 2)), None, 10.0, "x"), 0.49, 0.01, generator)[0].times) == 1
