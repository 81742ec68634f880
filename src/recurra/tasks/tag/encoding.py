"""Words and tags as numbers."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recurra.data.conll import Sentence
from recurra.data.ignored import IGNORED
from recurra.data.tag_schemes import entity_types, recognise_scheme, scheme_tags, spans_of, tags_of
from recurra.data.vocabulary import Vocabulary
from recurra.data.word_vectors import WordVectors
from recurra.errors import DataError
from recurra.models.tagger import Tokens
from recurra.tasks.tag.settings import TagSettings

__all__ = ["UNKNOWN", "EncodedSentences", "Encoding", "TagSet"]

UNKNOWN = "<unknown>"
# Of a longer word the beginning and the end are read: a URL of a thousand characters is not to slow all others down.
_MOST_CHARACTERS = 48


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


@dataclass(frozen=True)
class Encoding:
    """The vocabularies of words and characters.

    Attributes:
        words: with the unknown word first.
        counts: how often each occurs in training; 0 for the unknown one.
        characters: with the unknown character first.
        lowercase: whether words are looked up in lower case.
        vectors: words with pretrained vectors, with the one that has none first; None where there are none.
    """

    words: Vocabulary
    counts: tuple[int, ...]
    characters: Vocabulary
    lowercase: bool
    vectors: Vocabulary | None = None

    @classmethod
    def of(cls, sentences: Iterable[Sentence], settings: TagSettings, vectors: WordVectors | None = None) -> "Encoding":
        """The vocabularies of training sentences."""
        forms = Counter(word for sentence in sentences for word in sentence.words)
        words, characters = Counter[str](), Counter[str]()
        for form, count in forms.items():
            words[form.lower() if settings.lowercase else form] += count
            characters.update(form)
        kept = [w for w, n in sorted(words.items(), key=lambda item: (-item[1], item[0])) if n >= settings.min_count]
        kept = [word for word in kept if word != UNKNOWN]
        return cls(
            Vocabulary([UNKNOWN, *kept], UNKNOWN),
            (0, *(words[word] for word in kept)),
            Vocabulary([UNKNOWN, *sorted(characters)], UNKNOWN),
            settings.lowercase,
            None if vectors is None else Vocabulary([UNKNOWN, *(w for w in vectors.words if w != UNKNOWN)], UNKNOWN),
        )

    def word(self, form: str) -> int:
        """The number of a word."""
        return self.words[form.lower() if self.lowercase else form]

    def vector(self, form: str) -> int:
        """The row of a word's pretrained vector: that of its form, else of its form in lower case, else 0."""
        assert self.vectors is not None
        return self.vectors[form] if form in self.vectors else self.vectors[form.lower()]

    def spelling(self, form: str) -> list[int]:
        """The numbers of a word's characters, those in the middle of a long word left out."""
        if len(form) > _MOST_CHARACTERS:
            form = form[: _MOST_CHARACTERS // 2] + form[-_MOST_CHARACTERS // 2 :]
        return self.characters.encode(form)

    def unknown_shares(self, rate: float) -> Tensor:
        """With which probability each word (V,) is read as an unknown one while training."""
        counts = torch.tensor(self.counts, dtype=torch.float32)
        return torch.where(counts > 0, rate / (rate + counts), 0) if rate else torch.zeros_like(counts)

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return {
            "words": self.words.symbols,
            "counts": self.counts,
            "characters": self.characters.symbols,
            "lowercase": self.lowercase,
            "vectors": None if self.vectors is None else self.vectors.symbols,
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Encoding":
        """From what `to_json` gave."""
        vectors = values["vectors"]
        return cls(
            Vocabulary(values["words"], UNKNOWN),
            tuple(values["counts"]),
            Vocabulary(values["characters"], UNKNOWN),
            values["lowercase"],
            None if vectors is None else Vocabulary(vectors, UNKNOWN),
        )


class EncodedSentences:
    """Sentences laid out so that a batch of any of them is cut quickly.

    Args:
        encoding: of words and characters.
        sentences: the words of each, at least one.
        vectors: pretrained (V, P), by the numbers of `Encoding.vector`; None where there are none.
    """

    def __init__(self, encoding: Encoding, sentences: Sequence[Sequence[str]], vectors: Tensor | None = None) -> None:
        forms: dict[str, int] = {}
        numbered = [[forms.setdefault(word, len(forms)) for word in words] for words in sentences]
        self.lengths = np.array([len(numbers) for numbers in numbered], dtype=np.int64)
        self._ends = np.cumsum(self.lengths)
        self._forms = torch.tensor([number for numbers in numbered for number in numbers], dtype=torch.int64)
        spellings = [encoding.spelling(form) for form in forms]
        self._words = torch.tensor([encoding.word(form) for form in forms])
        self._vectors = None if vectors is None else vectors[[encoding.vector(form) for form in forms]]
        self._character_lengths = torch.tensor([len(spelling) for spelling in spellings])
        longest = int(self._character_lengths.max())
        self._characters = torch.tensor([spelling + [0] * (longest - len(spelling)) for spelling in spellings])

    def tokens(self, indices: np.ndarray) -> Tokens:
        """The batch of some sentences."""
        forms, valid = self.padded(self._forms, indices)
        different, spellings = forms.unique(return_inverse=True)
        lengths = self._character_lengths[different]
        return Tokens(
            self._words[forms],
            valid.sum(1),
            self._characters[different, : int(lengths.max())],
            lengths,
            spellings,
            None if self._vectors is None else self._vectors[forms],
        )

    def padded(self, values: Tensor, indices: np.ndarray, padding: int = 0) -> tuple[Tensor, Tensor]:
        """Values of every word, one after the other, as (B, T) for some sentences; and which are no padding."""
        lengths = torch.from_numpy(self.lengths[indices])
        starts = torch.from_numpy(self._ends[indices]) - lengths
        steps = torch.arange(int(lengths.max()))
        valid = steps < lengths.unsqueeze(1)
        places = (starts.unsqueeze(1) + steps).clamp(max=len(values) - 1)
        return values[places].masked_fill(~valid, padding), valid
