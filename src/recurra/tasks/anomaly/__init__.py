"""Anomaly detection: which rows of a series are unlike what came before, and in which channel.

Names load on first use.
"""

from typing import TYPE_CHECKING

from recurra.lazy_names import lazy_names

if TYPE_CHECKING:
    from recurra.tasks.anomaly.detector import AnomalyDetector, AnomalyReading
    from recurra.tasks.anomaly.results import Detections

__all__ = ["AnomalyDetector", "AnomalyReading", "Detections"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "recurra.tasks.anomaly.detector": ("AnomalyDetector", "AnomalyReading"),
        "recurra.tasks.anomaly.results": ("Detections",),
    },
)
