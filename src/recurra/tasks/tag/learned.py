"""What a tagger learns without gradients: words, characters, tags, and the most frequent tag of each word."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from recurra.data.text.conll import Sentence
from recurra.errors import DataError
from recurra.task.learned import Learned
from recurra.tasks.tag.data import Layout

if TYPE_CHECKING:
    from torch import Tensor

    from recurra.data.text.vocabulary import Vocabulary
    from recurra.data.text.word_encoding import WordEncoding

__all__ = ["BASELINE", "MostFrequentTags", "TagSet", "TagVocabulary"]

BASELINE = "most frequent tag of each word"
_IGNORED = -100  # recurra.data.batches.ignored.IGNORED, which needs torch


@dataclass(frozen=True)
class TagSet:
    """The tags that a model predicts, and the schemes in which they are written.

    Attributes:
        tags: those that the model learns, in its scheme.
        scheme: of `tags`; None: tags are not of entities.
        file_scheme: the scheme of the training file, in which tags are predicted; None: tags are not of entities.
    """

    tags: "Vocabulary"
    scheme: str | None
    file_scheme: str | None

    @classmethod
    def of(cls, sentences: Sequence[Sentence], scheme: str, source: str) -> "TagSet":
        """The tags of a training file; those of entities in the scheme to learn.

        Raises:
            DataError: no word has a tag.
        """
        from recurra.data.text.tag_schemes import entity_types, recognise_scheme, scheme_tags
        from recurra.data.text.vocabulary import Vocabulary

        annotated = [[tag for tag in sentence.tags or () if tag is not None] for sentence in sentences]
        if not any(annotated):
            raise DataError(f"{source}: no word has a tag. Name the tags' column (--tag-column).")
        file_scheme = recognise_scheme(annotated)
        if file_scheme is None:
            return cls(Vocabulary.count(tag for tags in annotated for tag in tags), None, None)
        return cls(Vocabulary(scheme_tags(entity_types(annotated), scheme)), scheme, file_scheme)

    def knows(self, tag: str) -> bool:
        """Whether a text is a tag that a file like the training file may have, in any scheme of entities."""
        from recurra.data.text.tag_schemes import entity_types

        if self.scheme is None or tag == "O":
            return tag == "O" or tag in self.tags
        types = {*entity_types([[tag]])}
        return bool(types) and types <= {*entity_types([self.tags.symbols])}

    def encode(self, sentence: Sentence) -> list[int]:
        """The ids of a sentence's tags; -100 for words without a tag, and for tags that training never saw."""
        from recurra.data.text.tag_schemes import spans_of, tags_of

        tags = sentence.tags or (None,) * len(sentence.words)
        if self.scheme is not None:
            # It is not known whether an entity continues over a word without a tag: it ends there.
            spans = spans_of([tag or "O" for tag in tags])
            own = tags_of(spans, len(tags), self.scheme)
            tags = [None if tag is None else converted for tag, converted in zip(tags, own, strict=True)]
        return [self.tags[tag] if tag is not None and tag in self.tags else _IGNORED for tag in tags]

    def decode(self, ids: Iterable[int], scheme: str | None = None) -> list[str]:
        """The tags of ids, written as in the training file, or in a scheme."""
        from recurra.data.text.tag_schemes import spans_of, tags_of

        tags = self.tags.decode(ids)
        target = scheme or self.file_scheme
        if self.scheme is None or target is None:
            return tags
        return tags_of(spans_of(tags), len(tags), target)

    def to_json(self) -> dict[str, Any]:
        """The values that `from_json` reads."""
        return {"tags": self.tags.to_json(), "scheme": self.scheme, "file_scheme": self.file_scheme}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "TagSet":
        """The inverse of `to_json`."""
        from recurra.data.text.vocabulary import Vocabulary

        return cls(Vocabulary.from_json(values["tags"]), values["scheme"], values["file_scheme"])


@dataclass(frozen=True)
class MostFrequentTags:
    """The most frequent tag in training of each word; for a new word, the most frequent of all.

    Attributes:
        by_word: the tag of each word, if it is not `other`.
        other: the tag of all other words.
    """

    by_word: dict[str, str]
    other: str

    @classmethod
    def of(cls, sentences: Sequence[Sentence]) -> "MostFrequentTags":
        """Count the tags of sentences, of which at least one word has a tag. At a tie the first tag wins."""
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        overall = Counter[str]()
        for sentence in sentences:
            for word, tag in zip(sentence.words, sentence.tags or (), strict=False):
                if tag is not None:
                    counts[word][tag] += 1
                    overall[tag] += 1
        other = overall.most_common(1)[0][0]
        by_word = {word: tags.most_common(1)[0][0] for word, tags in counts.items()}
        return cls({word: tag for word, tag in by_word.items() if tag != other}, other)

    def tag(self, words: Sequence[str]) -> list[str]:
        """A tag for each word."""
        return [self.by_word.get(word, self.other) for word in words]

    def to_json(self) -> dict[str, Any]:
        """The values that `from_json` reads."""
        return {"by_word": self.by_word, "other": self.other}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "MostFrequentTags":
        """The inverse of `to_json`."""
        return cls(values["by_word"], values["other"])


@dataclass(frozen=True)
class TagVocabulary(Learned):
    """The values that a tagger needs beside its network.

    Attributes:
        encoding: of words and characters.
        tag_set: the tags, and their schemes.
        baseline: the most frequent tag of each word.
        layout: the form of the training file; None: there was no file.
        vectors: pretrained (V, P), row 0 for words without one; None: no vectors are used.
        temperature: what the scores of tags are divided by, for probabilities.
    """

    encoding: "WordEncoding"
    tag_set: TagSet
    baseline: MostFrequentTags
    layout: Layout | None
    vectors: "Tensor | None" = None
    temperature: float = 1.0

    def to_json(self) -> dict[str, Any]:
        return {
            "encoding": self.encoding.to_json(),
            "tag_set": self.tag_set.to_json(),
            "baseline": self.baseline.to_json(),
            "layout": None if self.layout is None else asdict(self.layout),
            "temperature": self.temperature,
        }

    def tensors(self) -> "dict[str, Tensor]":
        return {} if self.vectors is None else {"vectors": self.vectors}

    @classmethod
    def from_json(cls, values: dict[str, Any], tensors: "dict[str, Tensor]") -> Self:
        from recurra.data.text.word_encoding import WordEncoding

        layout = values["layout"]
        return cls(
            WordEncoding.from_json(values["encoding"]),
            TagSet.from_json(values["tag_set"]),
            MostFrequentTags.from_json(values["baseline"]),
            None if layout is None else Layout(**{**layout, "names": tuple(layout["names"])}),
            tensors.get("vectors"),
            float(values["temperature"]),
        )

    def rows(self) -> dict[str, list[Any]]:
        tags = self.tag_set.tags.symbols
        rows: dict[str, list[Any]] = {
            "embedding.words.weight": list(self.encoding.words.symbols),
            "embedding.characters.embedding.weight": list(self.encoding.characters.symbols),
        }
        for name in ("emissions.weight", "emissions.bias", "crf.starts", "crf.ends"):
            rows[name] = list(tags)
        # What the CRF says of pairs of tags, and excludes, holds only for the same tags in the same order.
        for name in ("crf.transitions", "crf.forbidden", "crf.forbidden_starts", "crf.forbidden_ends"):
            rows[name] = [(tag, tags) for tag in tags]
        return rows
