"""Classification of what happens in clips of landmarks: actions, gestures, signs.

Names load on first use.
"""

from typing import TYPE_CHECKING

from recurra.lazy_names import lazy_names

if TYPE_CHECKING:
    from recurra.task.classes import Classes, Prediction
    from recurra.tasks.video.video_classifier import VideoClassifier, VideoReading

__all__ = ["Classes", "Prediction", "VideoClassifier", "VideoReading"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "recurra.task.classes": ("Classes", "Prediction"),
        "recurra.tasks.video.video_classifier": ("VideoClassifier", "VideoReading"),
    },
)
