"""Classification of sounds: commands, noises, speakers.

Names load on first use.
"""

from typing import TYPE_CHECKING

from recurra.lazy_names import lazy_names

if TYPE_CHECKING:
    from recurra.task.classes import Classes, Prediction
    from recurra.tasks.sound.sound_classifier import SoundClassifier, SoundReading

__all__ = ["Classes", "Prediction", "SoundClassifier", "SoundReading"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "recurra.task.classes": ("Classes", "Prediction"),
        "recurra.tasks.sound.sound_classifier": ("SoundClassifier", "SoundReading"),
    },
)
