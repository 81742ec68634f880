"""Recordings: files, lists of utterances, features, augmentation and batches. Needs the extra `audio`.

Names load on first use.
"""

from typing import TYPE_CHECKING

from recurra.lazy_names import lazy_names

if TYPE_CHECKING:
    from recurra.data.audio.log_mel import LogMel
    from recurra.data.audio.read import read_utterances
    from recurra.data.audio.sound import Sound, read_sound
    from recurra.data.audio.utterances import Utterance, Utterances

__all__ = ["LogMel", "Sound", "Utterance", "Utterances", "read_sound", "read_utterances"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "recurra.data.audio.log_mel": ("LogMel",),
        "recurra.data.audio.read": ("read_utterances",),
        "recurra.data.audio.sound": ("Sound", "read_sound"),
        "recurra.data.audio.utterances": ("Utterance", "Utterances"),
    },
)
