"""Words as ids, with the ids of their characters and their pretrained vectors."""

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
# Longer words lose their middle. Otherwise a URL of a thousand characters would slow the whole batch down.
_MOST_CHARACTERS = 48


@dataclass(frozen=True)
class Tokens:
    """The words of a batch of sentences.

    Characters are stored once for each of the U different words of the batch.

    Attributes:
        words: (B, T) int64, the id of each word. 0 is the unknown word.
        lengths: the true lengths (B,) int64, on the CPU.
        characters: (U, C) int64, the character ids of each different word.
        character_lengths: the lengths of the words in characters (U,) int64, on the CPU.
        spellings: (B, T) int64, the row of each word in `characters`.
        vectors: (B, T, P), the pretrained vector of each word, zeros for a word without one. None: no pretrained
            vectors are used.
        evidence: (B, T, E), what counting in training says of each word. None: nothing is counted.
    """

    words: Tensor
    lengths: Tensor
    characters: Tensor
    character_lengths: Tensor
    spellings: Tensor
    vectors: Tensor | None = None
    evidence: Tensor | None = None

    def to(self, device: torch.device) -> "Tokens":
        """Copy the tokens to a device. Lengths stay on the CPU, where the layers read them."""
        return replace(
            self,
            words=self.words.to(device),
            characters=self.characters.to(device),
            spellings=self.spellings.to(device),
            vectors=None if self.vectors is None else self.vectors.to(device),
            evidence=None if self.evidence is None else self.evidence.to(device),
        )


@dataclass(frozen=True)
class WordEncoding:
    """The vocabularies of words and characters.

    Attributes:
        words: the words. The unknown word comes first.
        counts: the number of occurrences of each word in training, 0 for the unknown word.
        characters: the characters. The unknown character comes first.
        lowercase: whether words are looked up in lower case.
        vectors: the words with pretrained vectors. The unknown word, which has no vector, comes first. None: no
            pretrained vectors are used.
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
        """Build the vocabularies of training sentences.

        Args:
            sentences: the words of each sentence.
            lowercase: whether words that differ only in case are the same word.
            min_count: words that occur less often than this are unknown.
            vectors: pretrained vectors. None: no pretrained vectors are used.
        """
        forms = Counter(word for sentence in sentences for word in sentence)
        words, characters = Counter[str](), Counter[str]()
        for form, count in forms.items():
            words[form.lower() if lowercase else form] += count
            characters.update(form)
        vocabulary = [w for w, n in sorted(words.items(), key=lambda item: (-item[1], item[0])) if n >= min_count]
        vocabulary = [word for word in vocabulary if word != UNKNOWN]
        return cls(
            Vocabulary([UNKNOWN, *vocabulary], UNKNOWN),
            (0, *(words[word] for word in vocabulary)),
            Vocabulary([UNKNOWN, *sorted(characters)], UNKNOWN),
            lowercase,
            None if vectors is None else Vocabulary([UNKNOWN, *(w for w in vectors.words if w != UNKNOWN)], UNKNOWN),
        )

    def word(self, form: str) -> int:
        """The id of a word."""
        return self.words[form.lower() if self.lowercase else form]

    def vector(self, form: str) -> int:
        """The row of a word's pretrained vector: that of the word, else of the word in lower case, else 0."""
        assert self.vectors is not None
        return self.vectors[form] if form in self.vectors else self.vectors[form.lower()]

    def spelling(self, form: str) -> list[int]:
        """The ids of a word's characters. A long word loses its middle."""
        if len(form) > _MOST_CHARACTERS:
            form = form[: _MOST_CHARACTERS // 2] + form[-_MOST_CHARACTERS // 2 :]
        return self.characters.encode(form)

    def unknown_fractions(self, rate: float) -> Tensor:
        """The probability that training replaces each word by the unknown word: (V,) float32.

        It is rate / (rate + n) for a word that occurs n times (Kiperwasser and Goldberg 2016).
        """
        counts = torch.tensor(self.counts, dtype=torch.float32)
        return torch.where(counts > 0, rate / (rate + counts), 0) if rate else torch.zeros_like(counts)

    def to_json(self) -> dict[str, Any]:
        """The encoding as JSON values, which `from_json` reads."""
        return {
            "words": self.words.symbols,
            "counts": self.counts,
            "characters": self.characters.symbols,
            "lowercase": self.lowercase,
            "vectors": None if self.vectors is None else self.vectors.symbols,
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "WordEncoding":
        """Read the result of `to_json`."""
        vectors = values["vectors"]
        return cls(
            Vocabulary(values["words"], UNKNOWN),
            tuple(values["counts"]),
            Vocabulary(values["characters"], UNKNOWN),
            values["lowercase"],
            None if vectors is None else Vocabulary(vectors, UNKNOWN),
        )


class EncodedSentences:
    """Encoded sentences, stored for fast access to batches of any of them.

    Args:
        encoding: the vocabularies of words and characters.
        sentences: the words of each sentence, one or more.
        vectors: pretrained vectors (V, P). `WordEncoding.vector` gives the row of a word. None: none are used.
    """

    def __init__(
        self, encoding: WordEncoding, sentences: Sequence[Sequence[str]], vectors: Tensor | None = None
    ) -> None:
        forms: dict[str, int] = {}
        encoded = [[forms.setdefault(word, len(forms)) for word in words] for words in sentences]
        self.lengths = np.array([len(ids) for ids in encoded], dtype=np.int64)
        self._ends = np.cumsum(self.lengths)
        self._forms = torch.tensor([one for ids in encoded for one in ids], dtype=torch.int64)
        spellings = [encoding.spelling(form) for form in forms]
        self._words = torch.tensor([encoding.word(form) for form in forms])
        self._vectors = None if vectors is None else vectors[[encoding.vector(form) for form in forms]]
        self._character_lengths = torch.tensor([len(spelling) for spelling in spellings])
        longest = int(self._character_lengths.max())
        self._characters = torch.tensor([spelling + [0] * (longest - len(spelling)) for spelling in spellings])

    def tokens(self, indices: np.ndarray) -> Tokens:
        """The batch of the sentences with these indices (B,)."""
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
        """Gather one value per word for the sentences with these indices (B,).

        Args:
            values: the values of all words of all sentences, end to end.
            indices: the sentences of the batch.
            padding: the value of the padding.

        Returns:
            The values (B, T), and the mask (B, T) bool of the valid steps.
        """
        lengths = torch.from_numpy(self.lengths[indices])
        starts = torch.from_numpy(self._ends[indices]) - lengths
        steps = torch.arange(int(lengths.max()))
        valid = steps < lengths.unsqueeze(1)
        positions = (starts.unsqueeze(1) + steps).clamp(max=len(values) - 1)
        return values[positions].masked_fill(~valid, padding), valid


def vector_table(vectors: WordVectors) -> Tensor:
    """The pretrained vectors (V, P). `WordEncoding.vector` gives the row of a word; row 0, for all others, is zero."""
    rows = [row for row, word in enumerate(vectors.words) if word != UNKNOWN]
    return torch.cat([torch.zeros(1, vectors.size), torch.from_numpy(vectors.vectors[rows])])
