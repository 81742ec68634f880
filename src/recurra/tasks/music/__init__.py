"""Music: what sounds next, and how surprising each frame is. Names load on first use."""

from typing import TYPE_CHECKING

from recurra.lazy_names import lazy_names

if TYPE_CHECKING:
    from recurra.data.music.options import MusicReading, MusicSampling
    from recurra.tasks.music.generation import GeneratedMusic, GeneratedPiece
    from recurra.tasks.music.live import EndlessMusic
    from recurra.tasks.music.music_model import MusicModel

__all__ = ["EndlessMusic", "GeneratedMusic", "GeneratedPiece", "MusicModel", "MusicReading", "MusicSampling"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "recurra.tasks.music.generation": ("GeneratedMusic", "GeneratedPiece"),
        "recurra.tasks.music.live": ("EndlessMusic",),
        "recurra.tasks.music.music_model": ("MusicModel",),
        "recurra.data.music.options": ("MusicReading", "MusicSampling"),
    },
)
