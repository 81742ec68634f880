"""How training varies landmarks: seen from a little aside, and moving faster or slower."""

from dataclasses import replace

import numpy as np

from recurra.data.video.augmentation_options import MotionAugmentation
from recurra.data.video.landmarks import Landmarks

_EPSILON = 1e-6  # seconds

__all__ = ["part_of", "seen_aside", "stretch_of"]


def seen_aside(landmarks: Landmarks, options: MotionAugmentation, generator: np.random.Generator) -> Landmarks:
    """The landmarks of a body of other proportions, turned about the mean of all points; sensors by other angles."""
    points, sensors = landmarks.points, landmarks.sensors
    dimensions = points.shape[2]
    change = np.eye(dimensions, dtype=np.float32)
    if options.proportions:
        most = np.log1p(options.proportions)
        change = change * np.exp(generator.uniform(-most, most, dimensions)).astype(np.float32)
    if options.rotation:
        change = _rotation(dimensions, options.rotation, generator) @ change
    if options.proportions or options.rotation:
        middle = points.mean((0, 1))
        points = (points - middle) @ change.T + middle
    if sensors is not None and options.sensor_rotation and sensors.shape[1] % 3 == 0:
        turn = _rotation(3, options.sensor_rotation, generator)
        sensors = (sensors.reshape(len(sensors), -1, 3) @ turn.T).reshape(sensors.shape)
    return replace(landmarks, points=points, sensors=sensors)


def part_of(
    landmarks: Landmarks, trim: float, seconds: float, generator: np.random.Generator
) -> tuple[Landmarks, float]:
    """A part of a clip, and its beginning in seconds.

    Args:
        landmarks: the clip.
        trim: fraction that is left out at either end at most.
        seconds: of the part at most; 0: any number.
        generator: the part is sampled from.
    """
    first, last = 0.0, landmarks.seconds
    if trim:
        before, after = generator.uniform(0, trim, 2) * landmarks.seconds
        first, last = before, last - after
    if seconds and last - first > seconds:
        first += generator.uniform(0, last - first - seconds)
        last = first + seconds
    if last - first == landmarks.seconds:
        return landmarks, 0.0
    begin = min(int(np.searchsorted(landmarks.times, first)), len(landmarks.times) - 1)
    end = max(int(np.searchsorted(landmarks.times, last, side="right")), begin + 1)
    start = float(landmarks.times[begin])
    return landmarks.between(start, float(landmarks.times[end - 1]) + _EPSILON, "the clip"), start


def stretch_of(options: MotionAugmentation, generator: np.random.Generator) -> float:
    """How much longer a clip is to take: log-uniform between 1 / (1 + stretch) and 1 + stretch."""
    most = np.log1p(options.stretch)
    return float(np.exp(generator.uniform(-most, most)))


def _rotation(dimensions: int, degrees: float, generator: np.random.Generator) -> np.ndarray:
    """A rotation (D, D) float32 by uniform angles about each axis, of which a plane has one."""
    turn = np.eye(dimensions)
    planes = [(0, 1)] if dimensions == 2 else [(0, 1), (1, 2), (0, 2)]
    for a, b in planes:
        angle = np.deg2rad(generator.uniform(-degrees, degrees))
        one = np.eye(dimensions)
        one[a, a] = one[b, b] = np.cos(angle)
        one[a, b], one[b, a] = -np.sin(angle), np.sin(angle)
        turn = turn @ one
    return turn.astype(np.float32)
