"""Tagging: parts of speech and named entities, from files of tagged sentences to tags with their confidence.

Names load on first use.
"""

from typing import TYPE_CHECKING

from recurra.lazy_names import lazy_names

if TYPE_CHECKING:
    from recurra.tasks.tag.data import TagReading
    from recurra.tasks.tag.tagger import Tagger
    from recurra.tasks.tag.tagging import TaggedSentence

__all__ = ["TagReading", "TaggedSentence", "Tagger"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "recurra.tasks.tag.data": ("TagReading",),
        "recurra.tasks.tag.tagger": ("Tagger",),
        "recurra.tasks.tag.tagging": ("TaggedSentence",),
    },
)
