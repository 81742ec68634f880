"""Language models: text in, likely text and its surprise out. Names load on first use."""

from typing import TYPE_CHECKING

from recurra.lazy_names import lazy_names

if TYPE_CHECKING:
    from recurra.tasks.language.language_model import LanguageModel
    from recurra.tasks.language.sampling import Sampling
    from recurra.tasks.language.surprise import ScoredToken

__all__ = ["LanguageModel", "Sampling", "ScoredToken"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "recurra.tasks.language.language_model": ("LanguageModel",),
        "recurra.tasks.language.sampling": ("Sampling",),
        "recurra.tasks.language.surprise": ("ScoredToken",),
    },
)
