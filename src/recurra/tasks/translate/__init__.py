"""Translation: from sentence pairs to a model that reads and writes raw text."""

from recurra.tasks.translate.scores import Evaluation
from recurra.tasks.translate.search import Search, Translation
from recurra.tasks.translate.settings import TranslationSettings
from recurra.tasks.translate.translator import Translator

__all__ = ["Evaluation", "Search", "Translation", "TranslationSettings", "Translator"]
