"""Tags as numbers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from recurra.data.batches.ignored import IGNORED
from recurra.data.text.conll import Sentence
from recurra.data.text.tag_schemes import entity_types, recognise_scheme, scheme_tags, spans_of, tags_of
from recurra.data.text.vocabulary import Vocabulary
from recurra.errors import DataError

__all__ = ["TagSet"]


@dataclass(frozen=True)
class TagSet:
    """The tags a model gives, and the scheme they are written in.

    Attributes:
        tags: the model's own, in the scheme it learns.
        scheme: of `tags`; None for tags of no entity.
        given: the scheme of the training file, in which tags are given out; None for tags of no entity.
    """

    tags: Vocabulary
    scheme: str | None
    given: str | None

    @classmethod
    def of(cls, sentences: Sequence[Sentence], scheme: str, source: str) -> "TagSet":
        """The tags of a training file; those of entities in the scheme to learn.

        Raises:
            DataError: where no word has a tag.
        """
        annotated = [[tag for tag in sentence.tags or () if tag is not None] for sentence in sentences]
        if not any(annotated):
            raise DataError(f"{source}: no word has a tag. Name the tags' column (--tag-column).")
        given = recognise_scheme(annotated)
        if given is None:
            return cls(Vocabulary.count(tag for tags in annotated for tag in tags), None, None)
        return cls(Vocabulary(scheme_tags(entity_types(annotated), scheme)), scheme, given)

    def encode(self, sentence: Sentence) -> list[int]:
        """The numbers of a sentence's tags; -100 for words without one, and tags that training never saw."""
        tags = sentence.tags or (None,) * len(sentence.words)
        if self.scheme is not None:
            # Where a word has no tag, none can be told to go on from it.
            spans = spans_of([tag or "O" for tag in tags])
            own = tags_of(spans, len(tags), self.scheme)
            tags = [None if tag is None else converted for tag, converted in zip(tags, own, strict=True)]
        return [self.tags[tag] if tag is not None and tag in self.tags else IGNORED for tag in tags]

    def decode(self, numbers: Iterable[int], scheme: str | None = None) -> list[str]:
        """The tags of numbers, written as in the training file, or in a scheme."""
        tags = self.tags.decode(numbers)
        target = scheme or self.given
        if self.scheme is None or target is None:
            return tags
        return tags_of(spans_of(tags), len(tags), target)

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return {"tags": self.tags.to_json(), "scheme": self.scheme, "given": self.given}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "TagSet":
        """From what `to_json` gave."""
        return cls(Vocabulary.from_json(values["tags"]), values["scheme"], values["given"])
