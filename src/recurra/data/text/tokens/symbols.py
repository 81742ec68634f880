"""Characters, bytes and words as the tokens of a text."""

from itertools import chain
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from recurra.data.text.file_text import FileText
from recurra.data.text.tokens.tokenization import LINE_END, EncodedText, Tokenization, encoded, utf8
from recurra.data.text.vocabulary import Vocabulary

__all__ = ["Bytes", "Characters", "Words"]


_SHORT = 64  # characters that are looked up one by one, which takes less time than arrays


class Characters(Tokenization):
    """Unicode characters, with ids by falling frequency.

    Args:
        vocabulary: the characters, the line end included. Its unknown symbol is U+FFFD, the replacement character.
    """

    name = "characters"
    unit = "character"
    piece_ends = "\n "
    UNKNOWN = "\ufffd"

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.unknown = vocabulary[self.UNKNOWN]
        self.line_end = vocabulary[LINE_END]
        points = np.array([ord(symbol) for symbol in vocabulary.symbols])
        self._ids = np.argsort(points)
        self._points = points[self._ids]

    @classmethod
    def learn(cls, text: str | FileText, min_count: int = 1, max_size: int | None = None) -> Self:
        """Learn the characters of a text. For the arguments see `Vocabulary.count`."""
        special = (LINE_END, cls.UNKNOWN)
        characters = chain.from_iterable(cls.pieces_to_learn(text))
        return cls(Vocabulary.count(characters, special, cls.UNKNOWN, min_count, max_size))

    def __len__(self) -> int:
        return len(self.vocabulary)

    def encode(self, text: str) -> EncodedText:
        points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.int64)
        nearest = np.searchsorted(self._points, points).clip(max=len(self._points) - 1)
        known = self._points[nearest] == points
        ids = np.where(known, self._ids[nearest], self.vocabulary[self.UNKNOWN])
        return encoded(torch.from_numpy(ids), text, (text[at] for at in np.flatnonzero(~known)))

    def ids(self, text: str) -> Tensor:
        if len(text) > _SHORT:
            return super().ids(text)
        return torch.tensor([self.vocabulary[symbol] for symbol in text], dtype=torch.int64)

    def spell(self, token_id: int, previous: int) -> bytes:
        return utf8(self.vocabulary.symbols[token_id])

    def find_unknown(self, text: str) -> tuple[str, int] | None:
        return next(((symbol, at) for at, symbol in enumerate(text) if symbol not in self.vocabulary), None)

    def to_json(self) -> dict[str, Any]:
        return {"tokens": self.name, **self.vocabulary.to_json()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Read the result of `to_json`."""
        return cls(Vocabulary.from_json(values))


class Bytes(Tokenization):
    """The 256 bytes of UTF-8. No text is unknown."""

    name = "bytes"
    unit = "byte"
    piece_ends = "\n "
    line_end = LINE_END.encode()[0]

    def __len__(self) -> int:
        return 256

    def encode(self, text: str) -> EncodedText:
        return encoded(torch.from_numpy(np.frombuffer(utf8(text), np.uint8).astype(np.int64)), text)

    def spell(self, token_id: int, previous: int) -> bytes:
        return bytes([token_id])

    def find_unknown(self, text: str) -> tuple[str, int] | None:
        return None

    def to_json(self) -> dict[str, Any]:
        return {"tokens": self.name}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Read the result of `to_json`."""
        return cls()


class Words(Tokenization):
    """Words between white space, and line ends, with ids by falling frequency.

    This is the convention of the Penn Treebank and WikiText files, and "<unk>" is the unknown word as there. Decoded
    text has single spaces; the width of white space is lost.

    Args:
        vocabulary: the words, the line end included. Its unknown symbol is "<unk>".
    """

    name = "words"
    unit = "word"
    UNKNOWN = "<unk>"

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.unknown = vocabulary[self.UNKNOWN]
        self.line_end = vocabulary[LINE_END]

    @classmethod
    def learn(cls, text: str | FileText, min_count: int = 1, max_size: int | None = None) -> Self:
        """Learn the words of a text. For the arguments see `Vocabulary.count`."""
        special = (LINE_END, cls.UNKNOWN)
        words = chain.from_iterable(piece.split() for piece in cls.pieces_to_learn(text))
        return cls(Vocabulary.count(words, special, cls.UNKNOWN, min_count, max_size))

    def __len__(self) -> int:
        return len(self.vocabulary)

    def encode(self, text: str) -> EncodedText:
        lines = [line.split() for line in text.split(LINE_END)]
        words = [word for line in lines for word in (*line, LINE_END)][:-1]
        ids = torch.tensor(self.vocabulary.encode(words), dtype=torch.int64)
        single_spaced = LINE_END.join(" ".join(line) for line in lines)
        return encoded(ids, single_spaced, (word for word in words if word not in self.vocabulary))

    def spell(self, token_id: int, previous: int) -> bytes:
        joined = token_id == self.line_end or previous == self.line_end
        return utf8(("" if joined else " ") + self.vocabulary.symbols[token_id])

    def find_unknown(self, text: str) -> tuple[str, int] | None:
        word = next((word for word in text.split() if word not in self.vocabulary), None)
        return None if word is None else (word, text.index(word))

    def to_json(self) -> dict[str, Any]:
        return {"tokens": self.name, **self.vocabulary.to_json()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Read the result of `to_json`."""
        return cls(Vocabulary.from_json(values))
