"""What a network reads of landmarks: points about their centre, how fast they move, and what sensors measured."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from recurra.data.video.landmarks import Landmarks

__all__ = ["Centre", "LandmarkFeatures", "Scale", "resampled", "sensor_windows"]

Centre = Literal["frame", "clip", "none"]
"""What points are relative to: the mean of all points of their frame, of the clip's first frame, or nothing."""

Scale = Literal["clip", "so_far", "none"]
"""What points are divided by: the body's size, or nothing.

It is the mean distance of a point from the mean of its frame, over the frames of the clip, or over those so far.
"""


@dataclass(frozen=True)
class LandmarkFeatures:
    """From landmarks to features of frames at even times.

    The features of a frame are its points relative to `centre` (J * D), divided by the size of the body; how fast they
    and the mean of all points move, in units of the body's size a second (J * D + D), measured from the frame before;
    and of each channel of sensors the mean and the deviation in the time of the frame (2 C). If `scale` is not "clip",
    they depend on no later frame, and `step` has the same, frame by frame.

    Attributes:
        rate: frames a second, to which landmarks are resampled by their times.
        centre: see `Centre`.
        scale: see `Scale`.
        speeds: whether speeds are features.
        points: J.
        dimensions: D.
        channels: C, 0 without sensors.
    """

    rate: float
    centre: Centre
    scale: Scale
    speeds: bool
    points: int
    dimensions: int
    channels: int

    @property
    def size(self) -> int:
        """F, features of a frame."""
        return len(self.names)

    @property
    def names(self) -> tuple[str, ...]:
        """Of each feature."""
        axes = "xyz"[: self.dimensions]
        names = [f"point {k + 1} {axis}" for k in range(self.points) for axis in axes]
        if self.speeds:
            names += [f"speed of {name}" for name in (*names, *(f"centre {axis}" for axis in axes))]
        names += [f"{kind} of sensor {k + 1}" for kind in ("mean", "deviation") for k in range(self.channels)]
        return tuple(names)

    def frames(self, seconds: float) -> int:
        """Frames of a clip."""
        return round(seconds * self.rate) + 1

    def __call__(self, landmarks: Landmarks, stretch: float = 1.0) -> np.ndarray:
        """The features (T, F) float32.

        Args:
            landmarks: with J points in D dimensions, and C channels of sensors.
            stretch: how much longer it is to take.
        """
        times = np.arange(self.frames(landmarks.seconds * stretch)) / (self.rate * stretch)
        points = resampled(landmarks.points, landmarks.times, times)
        middle = points.mean(1)
        about = {"frame": middle[:, None], "clip": middle[:1, None], "none": 0.0}[self.centre]
        own = (points - about).reshape(len(points), -1)
        size = 1.0
        if self.scale == "clip":
            size = float(_sizes(points).mean()) or 1.0
        elif self.scale == "so_far":
            so_far = np.cumsum(_sizes(points), dtype=np.float64) / np.arange(1, len(points) + 1)
            size = np.where(so_far > 0, so_far, 1.0)[:, None]
        parts = [own / size]
        if self.speeds:
            moving = np.concatenate([own, middle], axis=1)
            parts.append(np.diff(moving, axis=0, prepend=moving[:1]) * self.rate / size)
        if landmarks.sensors is not None:
            parts.append(sensor_windows(landmarks.sensors, len(points)))
        return np.concatenate(parts, axis=1).astype(np.float32)

    @property
    def memory(self) -> tuple[tuple[str, int], ...]:
        """The names and sizes of what `step` remembers, zeros before the first frame."""
        own = self.points * self.dimensions
        return ("origin", self.dimensions), ("before", own + self.dimensions), ("size_sum", 1), ("count", 1)

    def step(self, points: np.ndarray, sensors: np.ndarray | None, memory: Mapping[str, np.ndarray]) -> np.ndarray:
        """The features (F,) float32 of the next frame, those that it has in the whole if `scale` is not "clip".

        Args:
            points: (J, D), 1 / rate seconds after the frame before.
            sensors: what they measured in the time of the frame (S, C), at least once. None: C is 0.
            memory: of the frames before, changed in place; see `memory`.
        """
        middle = points.mean(0)
        if not memory["count"][0]:
            memory["origin"][:] = middle
        own = (points - {"frame": middle, "clip": memory["origin"], "none": 0.0}[self.centre]).ravel()
        moving = np.concatenate([own, middle])
        if not memory["count"][0]:
            memory["before"][:] = moving
        memory["count"][:] += 1
        memory["size_sum"][:] += _sizes(points[None])
        size = float(memory["size_sum"][0] / memory["count"][0]) if self.scale == "so_far" else 1.0
        size = size if size > 0 else 1.0
        parts = [own / size]
        if self.speeds:
            parts.append((moving - memory["before"]) * self.rate / size)
        memory["before"][:] = moving
        if sensors is not None:
            parts += [sensors.mean(0), sensors.std(0)]
        return np.concatenate(parts).astype(np.float32)

    def to_json(self) -> dict[str, Any]:
        """The values that `from_json` reads."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "LandmarkFeatures":
        """The inverse of `to_json`."""
        return cls(**values)


def _sizes(points: np.ndarray) -> np.ndarray:
    """The mean distance (T,) of points (T, J, D) from the mean of their frame."""
    return np.linalg.norm(points - points.mean(1, keepdims=True), axis=2).mean(1)


def resampled(points: np.ndarray, times: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Points (T', J, D) at other times (T',), interpolated between frames at `times` (T,), and held beyond them."""
    if len(points) == 1:
        return np.repeat(points, len(at), axis=0)
    after = np.clip(np.searchsorted(times, at), 1, len(times) - 1)
    before = after - 1
    weight = np.clip((at - times[before]) / (times[after] - times[before]), 0, 1)[:, None, None]
    return points[before] + (points[after] - points[before]) * weight.astype(points.dtype)


def sensor_windows(sensors: np.ndarray, frames: int) -> np.ndarray:
    """The mean and deviation (T, 2 C) of what sensors measured (S, C) in the time of each of T frames.

    The time is divided evenly; a window has at least one measurement.
    """
    edges = np.linspace(0, len(sensors), frames + 1)
    first = np.minimum(np.floor(edges[:-1]).astype(int), len(sensors) - 1)
    last = np.maximum(np.ceil(edges[1:]).astype(int), first + 1)
    sums, squares = (
        np.concatenate([np.zeros((1, sensors.shape[1])), np.cumsum(values, axis=0, dtype=np.float64)])
        for values in (sensors, np.square(sensors, dtype=np.float64))
    )
    counts = (last - first)[:, None]
    mean = (sums[last] - sums[first]) / counts
    variance = (squares[last] - squares[first]) / counts - mean**2
    return np.concatenate([mean, np.sqrt(np.maximum(variance, 0))], axis=1)
