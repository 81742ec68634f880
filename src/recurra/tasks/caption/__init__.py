"""Captions: from images and what people wrote of them to a network that writes captions. Names load on first use."""

from typing import TYPE_CHECKING

from recurra.lazy_names import lazy_names

if TYPE_CHECKING:
    from recurra.tasks.caption.captioner import Captioner
    from recurra.tasks.caption.captioning import Caption
    from recurra.tasks.caption.options import CaptionReading, CaptionSearch
    from recurra.tasks.caption.results import Captions

__all__ = ["Caption", "CaptionReading", "CaptionSearch", "Captioner", "Captions"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "recurra.tasks.caption.captioner": ("Captioner",),
        "recurra.tasks.caption.captioning": ("Caption",),
        "recurra.tasks.caption.options": ("CaptionReading", "CaptionSearch"),
        "recurra.tasks.caption.results": ("Captions",),
    },
)
