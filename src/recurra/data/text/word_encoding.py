"""Words as numbers: their own, those of their characters, and rows of pretrained vectors."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recurra.data.text.vocabulary import Vocabulary
from recurra.data.text.word_vectors import WordVectors

__all__ = ["UNKNOWN", "EncodedSentences", "Tokens", "WordEncoding", "vector_table"]

UNKNOWN = "<unknown>"
# Of a longer word the beginning and the end are read: a URL of a thousand characters is not to slow all others down.
_MOST_CHARACTERS = 48


@dataclass(frozen=True)
class Tokens:
    """The words of a batch of sentences.

    Characters are given once for each of the batch's U different words.

    Attributes:
        words: (B, T) int64, rows of the word embedding; 0 is the unknown word.
        lengths: true lengths (B,), int64 on the CPU.
        characters: (U, C) int64.
        character_lengths: (U,), int64 on the CPU.
        spellings: (B, T) int64, the row of each word in `characters`.
        vectors: (B, T, P), pretrained vectors of the words, zeros for a word without one; None where there are none.
    """

    words: Tensor
    lengths: Tensor
    characters: Tensor
    character_lengths: Tensor
    spellings: Tensor
    vectors: Tensor | None = None

    def to(self, device: torch.device) -> "Tokens":
        """The same on a device; lengths stay on the CPU, where the layers read them."""
        return replace(
            self,
            words=self.words.to(device),
            characters=self.characters.to(device),
            spellings=self.spellings.to(device),
            vectors=None if self.vectors is None else self.vectors.to(device),
        )


@dataclass(frozen=True)
class WordEncoding:
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
    def of(
        cls, sentences: Iterable[Sequence[str]], lowercase: bool, min_count: int, vectors: WordVectors | None = None
    ) -> "WordEncoding":
        """The vocabularies of training sentences.

        Args:
            sentences: the words of each.
            lowercase: whether words that differ by case only are one.
            min_count: occurrences below which a word is an unknown one.
            vectors: pretrained.
        """
        forms = Counter(word for sentence in sentences for word in sentence)
        words, characters = Counter[str](), Counter[str]()
        for form, count in forms.items():
            words[form.lower() if lowercase else form] += count
            characters.update(form)
        kept = [w for w, n in sorted(words.items(), key=lambda item: (-item[1], item[0])) if n >= min_count]
        kept = [word for word in kept if word != UNKNOWN]
        return cls(
            Vocabulary([UNKNOWN, *kept], UNKNOWN),
            (0, *(words[word] for word in kept)),
            Vocabulary([UNKNOWN, *sorted(characters)], UNKNOWN),
            lowercase,
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
        """With which probability each word (V,) is read as an unknown one while training: of one that occurs n times
        rate / (rate + n) (Kiperwasser and Goldberg 2016)."""
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
    def from_json(cls, values: dict[str, Any]) -> "WordEncoding":
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
        vectors: pretrained (V, P), by the numbers of `WordEncoding.vector`; None where there are none.
    """

    def __init__(
        self, encoding: WordEncoding, sentences: Sequence[Sequence[str]], vectors: Tensor | None = None
    ) -> None:
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


def vector_table(vectors: WordVectors) -> Tensor:
    """The pretrained vectors (V, P) by the numbers of `WordEncoding.vector`: zeros for words without one come first."""
    rows = [row for row, word in enumerate(vectors.words) if word != UNKNOWN]
    return torch.cat([torch.zeros(1, vectors.size), torch.from_numpy(vectors.vectors[rows])])
