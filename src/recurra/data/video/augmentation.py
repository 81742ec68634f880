"""How training varies landmarks: seen from a little aside, and moving faster or slower."""

from dataclasses import replace

import numpy as np

from recurra.data.video.augmentation_options import MotionAugmentation
from recurra.data.video.landmarks import Landmarks

__all__ = ["rotated", "stretch_of"]


def rotated(landmarks: Landmarks, options: MotionAugmentation, generator: np.random.Generator) -> Landmarks:
    """The landmarks about the mean of all their points, turned by random angles; sensors by others."""
    points, sensors = landmarks.points, landmarks.sensors
    if options.rotation:
        turn = _rotation(points.shape[2], options.rotation, generator)
        middle = points.mean((0, 1))
        points = (points - middle) @ turn.T + middle
    if sensors is not None and options.sensor_rotation and sensors.shape[1] % 3 == 0:
        turn = _rotation(3, options.sensor_rotation, generator)
        sensors = (sensors.reshape(len(sensors), -1, 3) @ turn.T).reshape(sensors.shape)
    return replace(landmarks, points=points, sensors=sensors)


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
