"""The interface of a tokenization."""

import codecs
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import torch
from torch import Tensor

from recurra.data.text.file_text import FileText

__all__ = ["LINE_END", "EncodedText", "Tokenization", "encoded", "id_dtype", "utf8"]

LINE_END = "\n"


@dataclass(frozen=True)
class EncodedText:
    """A text as tokens, with its sizes in units that do not depend on the tokenization.

    Attributes:
        ids: the token ids (N,), 0 to V - 1; int64, or fewer bits if they are mapped from a file.
        characters: the number of characters of the text.
        bytes: the number of bytes of the text in UTF-8.
        words: the number of words between white space. Each line end counts as a word.
        unknown: the number of tokens outside the vocabulary.
        unknown_bytes: the number of bytes of these in UTF-8.
    """

    ids: Tensor
    characters: int
    bytes: int
    words: int
    unknown: int = 0
    unknown_bytes: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """All fields except the ids, by name."""
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name != "ids"}


class Tokenization(ABC):
    """A way to split text into tokens, with its vocabulary of V tokens.

    Attributes:
        name: the name of the kind, one of `TOKENS`.
        unit: the word for one token.
        unknown: the id of the token that stands for all text outside the vocabulary. None: no text is outside it.
        line_end: the id of the line end.
        piece_ends: the characters after which a text may be cut: its pieces are then encoded as the whole is.
    """

    name: ClassVar[str]
    unit: ClassVar[str]
    piece_ends: ClassVar[str] = LINE_END
    unknown: int | None = None
    line_end: int

    @classmethod
    def pieces_to_learn(cls, text: str | FileText) -> Iterable[str]:
        """A text in pieces that may be counted apart; a string is one of them."""
        return [text] if isinstance(text, str) else text.pieces(cls.piece_ends)

    @abstractmethod
    def __len__(self) -> int:
        """V, the number of tokens."""

    @abstractmethod
    def encode(self, text: str) -> EncodedText:
        """Encode a text as token ids."""

    def ids(self, text: str) -> Tensor:
        """The ids (N,) int64 of the tokens of a text."""
        return self.encode(text).ids

    @abstractmethod
    def spell(self, token_id: int, previous: int) -> bytes:
        """A token in UTF-8, as it is written after the token with the id `previous`."""

    @abstractmethod
    def find_unknown(self, text: str) -> tuple[str, int] | None:
        """The first part of a text outside the vocabulary, and the index of its first character. None: all is known."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """The tokenization as JSON values, which `tokenization_from_json` reads."""

    def decode(self, ids: Iterable[int]) -> str:
        """The text of tokens. The first token begins a line."""
        ids = list(ids)
        before = [self.line_end, *ids]
        return b"".join(map(self.spell, ids, before)).decode("utf-8", "replace")

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """The text of each token, as `speller` returns it. The first token begins a line."""
        return list(map(self.speller(), ids))

    def names(self) -> list[bytes]:
        """The names of all tokens (V), by id. No two tokens of a vocabulary have the same name."""
        return [self.spell(token_id, self.line_end) for token_id in range(len(self))]

    def speller(self, previous: int | None = None) -> Callable[[int], str]:
        """A function that converts one token after another to text.

        If a character's bytes are several tokens, the last of them returns the character and the others return "".

        Args:
            previous: the token before the first one. None: the line end.
        """
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        before = self.line_end if previous is None else previous

        def text_of(token_id: int) -> str:
            nonlocal before
            spelled = self.spell(token_id, before)
            before = token_id
            return decode(spelled)

        return text_of


def id_dtype(size: int) -> torch.dtype:
    """The integers with the fewest bits that hold the ids of a vocabulary of this size."""
    return next(one for one in (torch.uint8, torch.int16, torch.int32) if size <= torch.iinfo(one).max + 1)


def encoded(ids: Tensor, text: str, unknown: Iterable[str] = ()) -> EncodedText:
    """An `EncodedText` with the sizes of the text and of its unknown parts."""
    parts = list(unknown)
    words = len(text.split()) + text.count(LINE_END)
    sizes = len(text), len(utf8(text)), words, len(parts), sum(len(utf8(part)) for part in parts)
    return EncodedText(ids.to(torch.int64), *sizes)


def utf8(text: str) -> bytes:
    """A text in UTF-8. Bytes that the command line could not decode (surrogate escapes) are restored."""
    return text.encode("utf-8", "surrogateescape")
