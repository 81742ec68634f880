"""Skeletons of a few points that wave, for tests: only the order of frames tells one label from the other."""

import numpy as np

from recurra.data.video.landmarks import Landmarks

POINTS = 4
LABELS = ("open", "close")


def motion(label: str, seed: int, sensors: bool = False) -> Landmarks:
    """A hand that opens or closes, of any length, size and place: points that move apart or together."""
    generator = np.random.default_rng(seed)
    frames = int(generator.integers(10, 18))
    times = np.cumsum(generator.uniform(0.02, 0.05, frames))
    phase = np.linspace(0, 1, frames) if label == "open" else np.linspace(1, 0, frames)
    angles = np.linspace(0, 2 * np.pi, POINTS, endpoint=False)
    around = np.stack([np.cos(angles), np.sin(angles), 0.1 * angles], 1)
    points = (0.3 + phase)[:, None, None] * around * generator.uniform(50, 100) + generator.uniform(-500, 500, 3)
    points += generator.normal(0, 2, points.shape)
    measured = None
    if sensors:
        measured = np.stack([np.interp(np.linspace(0, 1, 40), np.linspace(0, 1, frames), phase)] * 3, 1)
    return Landmarks.of(points, times, 30.0, "made", measured)


def motions(count: int, seed: int = 0, sensors: bool = False) -> tuple[list[Landmarks], list[str]]:
    """`count` of them and their labels, in turn."""
    labels = [LABELS[k % 2] for k in range(count)]
    return [motion(label, 1000 * seed + k, sensors) for k, label in enumerate(labels)], labels
