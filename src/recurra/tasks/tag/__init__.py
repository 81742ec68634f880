"""Tagging: parts of speech and named entities, from files of tagged sentences to tags with their confidence."""

from recurra.tasks.tag.settings import TagSettings
from recurra.tasks.tag.tagger import Evaluation, TaggedSentence, Tagger

__all__ = ["Evaluation", "TagSettings", "TaggedSentence", "Tagger"]
