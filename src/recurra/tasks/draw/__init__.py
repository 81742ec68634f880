"""Drawing models: drawings in, the density of each next point out. Names load on first use."""

from typing import TYPE_CHECKING

from recurra.lazy_names import lazy_names

if TYPE_CHECKING:
    from recurra.tasks.draw.drawing_model import DrawingModel, DrawingReading

__all__ = ["DrawingModel", "DrawingReading"]

__getattr__, __dir__ = lazy_names(__name__, {"recurra.tasks.draw.drawing_model": ("DrawingModel", "DrawingReading")})
