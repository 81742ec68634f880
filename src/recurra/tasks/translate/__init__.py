"""Translation: an encoder-decoder with attention, from text files to text. Names load on first use."""

from typing import TYPE_CHECKING

from recurra.lazy_names import lazy_names

if TYPE_CHECKING:
    from recurra.tasks.translate.results import Translations
    from recurra.tasks.translate.search import Search
    from recurra.tasks.translate.translation import Translation
    from recurra.tasks.translate.translator import Translator

__all__ = ["Search", "Translation", "Translations", "Translator"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "recurra.tasks.translate.results": ("Translations",),
        "recurra.tasks.translate.search": ("Search",),
        "recurra.tasks.translate.translation": ("Translation",),
        "recurra.tasks.translate.translator": ("Translator",),
    },
)
