"""Measurements of a machine and detectors that the tests of anomaly detection are made of."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recurra.tasks.anomaly import AnomalyDetector, Detections

# A network that trains in a moment; what it detects is of no matter.
TINY: dict[str, Any] = {"hidden_size": 4, "max_steps": 3, "batch_size": 4, "device": "cpu", "horizon": 2}
CHANNELS = ("speed", "current", "heat")


def tiny(**options: Any) -> AnomalyDetector:
    return AnomalyDetector(**{**TINY, **options})


def machine(rows: int = 200, seed: int = 0, noise: float = 0.1) -> np.ndarray:
    """Of three channels (T, 3) with a period of 25 rows, the second follows the first; the third is slower."""
    t, generator = np.arange(rows), np.random.default_rng(seed)
    load = np.sin(2 * np.pi * t / 25)
    heat = np.cos(2 * np.pi * t / 100)
    clean = np.stack([100 + 10 * load, 5 + 2 * load, 60 + 3 * heat], axis=1)
    return clean + noise * np.array([10, 2, 3]) * generator.normal(size=(rows, 3))


def hours(rows: int, first: int = 0) -> np.ndarray:
    return np.datetime64("2024-03-01", "us") + np.arange(first, first + rows) * np.timedelta64(1, "h")


def frame(values: np.ndarray | None = None, labels: Any = None) -> pl.DataFrame:
    """Hourly rows; labelled if labels are given."""
    values = machine() if values is None else values
    columns: dict[str, Any] = {"time": hours(len(values))} | dict(zip(CHANNELS, values.T, strict=False))
    return pl.DataFrame(columns if labels is None else columns | {"label": np.asarray(labels, int)})


def csv(path: Path, values: np.ndarray | None = None, labels: Any = None) -> Path:
    frame(values, labels).write_csv(path, datetime_format="%Y-%m-%d %H:%M:%S")
    return path


def detections_of(detector: AnomalyDetector, data: Any, **options: Any) -> Detections:
    """What `predictions` returns for data that are not standard input."""
    result = detector.predictions(data, **options)
    assert isinstance(result, Detections)
    return result
