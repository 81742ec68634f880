"""Music: what sounds next, and how surprising each frame is. Names load on first use."""

from typing import TYPE_CHECKING

from recurra.lazy_names import lazy_names

if TYPE_CHECKING:
    from recurra.tasks.music.music_model import MusicModel, MusicReading

__all__ = ["MusicModel", "MusicReading"]

__getattr__, __dir__ = lazy_names(__name__, {"recurra.tasks.music.music_model": ("MusicModel", "MusicReading")})
