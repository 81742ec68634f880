"""Music: what sounds next, and how surprising each frame is. Names load on first use."""

from typing import TYPE_CHECKING

from recurra.lazy_names import lazy_names

if TYPE_CHECKING:
    from recurra.tasks.music.generation import EndlessMusic, GeneratedMusic, GeneratedPiece
    from recurra.tasks.music.music_model import MusicModel
    from recurra.tasks.music.options import MusicReading, MusicSampling

__all__ = ["EndlessMusic", "GeneratedMusic", "GeneratedPiece", "MusicModel", "MusicReading", "MusicSampling"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "recurra.tasks.music.generation": ("EndlessMusic", "GeneratedMusic", "GeneratedPiece"),
        "recurra.tasks.music.music_model": ("MusicModel",),
        "recurra.tasks.music.options": ("MusicReading", "MusicSampling"),
    },
)
