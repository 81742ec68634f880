"""Speech: from recordings and their texts to a recogniser, for recordings or live.

Names load on first use.
"""

from typing import TYPE_CHECKING

from recurra.lazy_names import lazy_names

if TYPE_CHECKING:
    from recurra.data.audio.timed_words import Segment, Word
    from recurra.tasks.speech.recognizer import SpeechReading, SpeechRecognizer

__all__ = ["Segment", "SpeechReading", "SpeechRecognizer", "Word"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "recurra.tasks.speech.recognizer": ("SpeechReading", "SpeechRecognizer"),
        "recurra.data.audio.timed_words": ("Segment", "Word"),
    },
)
