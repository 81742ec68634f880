"""Landmarks: the points of a body, a hand or a face by frame, with the times of the frames."""

from dataclasses import dataclass, replace

import numpy as np

from recurra.errors import DataError

__all__ = ["Landmarks"]


@dataclass(frozen=True)
class Landmarks:
    """One recording of landmarks, and perhaps of sensors beside it.

    Attributes:
        points: (T, J, D) float32, J points in D = 2 or 3 dimensions; finite.
        times: (T,) float64, seconds of the frames, rising from 0.
        sensors: (S, C) float32, what other sensors measured from the first frame to the last, at even times; finite.
            None: there are none.
    """

    points: np.ndarray
    times: np.ndarray
    sensors: np.ndarray | None = None

    @property
    def seconds(self) -> float:
        """From the first frame to the last."""
        return float(self.times[-1])

    @classmethod
    def of(
        cls,
        points: np.ndarray,
        times: np.ndarray | None,
        rate: float,
        where: str,
        sensors: np.ndarray | None = None,
    ) -> "Landmarks":
        """Landmarks from arrays of any numeric type; points that are missing (NaN) are filled along time.

        Args:
            points: (T, J, D).
            times: seconds (T,), rising. None: the frames are evenly spaced.
            rate: frames a second, if there are no times.
            where: the file, for messages.
            sensors: (S, C), or None.

        Raises:
            DataError: a shape or type does not fit, there is no frame, a point is never seen, or times do not rise.
        """
        if points.ndim != 3 or points.shape[2] not in (2, 3) or points.dtype.kind not in "iuf":
            raise DataError(
                f"{where}: points are {points.dtype} {points.shape}, expected numbers (T, J, 2) or (T, J, 3)."
            )
        if not len(points) or not points.shape[1]:
            raise DataError(f"{where}: no frames or no points: their shape (T, J, D) is {points.shape}.")
        points = points.astype(np.float32)
        stamps = np.asarray(np.arange(len(points)) / rate if times is None else times, np.float64)
        if stamps.shape != points.shape[:1] or not np.isfinite(stamps).all() or (np.diff(stamps) <= 0).any():
            raise DataError(f"{where}: expected {len(points)} rising times in seconds, one for each frame.")
        stamps = stamps - stamps[0]
        if not np.isfinite(points).all():
            points = _filled(points, stamps, where)
        if sensors is not None:
            if sensors.ndim != 2 or not sensors.size or sensors.dtype.kind not in "iuf":
                raise DataError(f"{where}: sensors are {sensors.dtype} {sensors.shape}, expected numbers (S, C).")
            sensors = sensors.astype(np.float32)
            if not np.isfinite(sensors).all():
                raise DataError(f"{where}: a value of the sensors is not finite.")
        return cls(points, stamps, sensors)

    def between(self, start: float | None, end: float | None, where: str) -> "Landmarks":
        """The frames from `start` to before `end`, in seconds, with the sensors of that time.

        Raises:
            DataError: there are none.
        """
        if start is None and end is None:
            return self
        first = 0.0 if start is None else start
        inside = (self.times >= first) & (self.times < (np.inf if end is None else end))
        if not inside.any():
            until = "the end" if end is None else f"{end:g} s"
            raise DataError(f"{where}: no frame from {first:g} s to {until}; the recording has {self.seconds:.2f} s.")
        times, sensors = self.times[inside], self.sensors
        if sensors is not None and self.seconds:
            rows = np.rint(times[[0, -1]] / self.seconds * (len(sensors) - 1)).astype(int)
            sensors = sensors[rows[0] : rows[1] + 1]
        return replace(self, points=self.points[inside], times=times - times[0], sensors=sensors)

    def beginning(self, fraction: float) -> "Landmarks":
        """The first `fraction` of the time, at least a frame."""
        frames = max(int(np.searchsorted(self.times, fraction * self.seconds, side="right")), 1)
        sensors = self.sensors
        if sensors is not None:
            sensors = sensors[: max(round(fraction * len(sensors)), 1)]
        return replace(self, points=self.points[:frames], times=self.times[:frames], sensors=sensors)


def _filled(points: np.ndarray, times: np.ndarray, where: str) -> np.ndarray:
    """Points with each coordinate that is not finite interpolated between the frames that have it."""
    filled = points.copy()
    flat = filled.reshape(len(points), -1)
    for column, joint in enumerate(np.repeat(np.arange(points.shape[1]), points.shape[2])):
        seen = np.isfinite(flat[:, column])
        if not seen.any():
            raise DataError(f"{where}: point {joint + 1} has no value in any frame. Leave it out of the file.")
        if not seen.all():
            flat[:, column] = np.interp(times, times[seen], flat[seen, column])
    return filled
