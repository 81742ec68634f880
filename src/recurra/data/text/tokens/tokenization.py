"""The interface of a tokenization."""

import codecs
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

__all__ = ["LINE_END", "EncodedText", "Tokenization", "encoded", "utf8"]

LINE_END = "\n"


@dataclass(frozen=True)
class EncodedText:
    """A text as tokens, with its sizes in units that do not depend on the tokenization.

    Attributes:
        codes: the token ids (N,) int64, 0 to V - 1.
        characters: the number of characters of the text.
        bytes: the number of bytes of the text in UTF-8.
        words: the number of words between white space. Each line end counts as a word.
        unknown: the number of tokens outside the vocabulary.
        unknown_bytes: the number of bytes of these in UTF-8.
    """

    codes: Tensor
    characters: int
    bytes: int
    words: int
    unknown: int = 0
    unknown_bytes: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """All fields except the codes, by name."""
        return {name: value for name, value in asdict(self).items() if name != "codes"}


class Tokenization(ABC):
    """A way to split text into tokens, with its vocabulary of V tokens.

    Attributes:
        name: the name of the kind, one of `TOKENS`.
        unit: the word for one token.
        unknown: the id of the token that stands for all text outside the vocabulary. None: no text is outside it.
        line_end: the id of the line end.
    """

    name: ClassVar[str]
    unit: ClassVar[str]
    unknown: int | None = None
    line_end: int

    @abstractmethod
    def __len__(self) -> int:
        """V, the number of tokens."""

    @abstractmethod
    def encode(self, text: str) -> EncodedText:
        """Encode a text as token ids."""

    @abstractmethod
    def spell(self, code: int, previous: int) -> bytes:
        """A token in UTF-8, as it is written after the token with the id `previous`."""

    @abstractmethod
    def find_unknown(self, text: str) -> tuple[str, int] | None:
        """The first part of a text outside the vocabulary, and the index of its first character. None: all is known."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """The tokenization as JSON values, which `tokenization_from_json` reads."""

    def decode(self, codes: Iterable[int]) -> str:
        """The text of tokens. The first token begins a line."""
        codes = list(codes)
        before = [self.line_end, *codes]
        return b"".join(map(self.spell, codes, before)).decode("utf-8", "replace")

    def pieces(self, codes: Iterable[int]) -> list[str]:
        """The text of each token, as `speller` returns it. The first token begins a line."""
        return list(map(self.speller(), codes))

    def names(self) -> list[bytes]:
        """The names of all tokens (V), by id. No two tokens of a vocabulary have the same name."""
        return [self.spell(code, self.line_end) for code in range(len(self))]

    def speller(self, previous: int | None = None) -> Callable[[int], str]:
        """A function that converts one token after another to text.

        If a character's bytes are several tokens, the last of them returns the character and the others return "".

        Args:
            previous: the token before the first one. None: the line end.
        """
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        before = self.line_end if previous is None else previous

        def text_of(code: int) -> str:
            nonlocal before
            spelled = self.spell(code, before)
            before = code
            return decode(spelled)

        return text_of


def encoded(codes: Tensor, text: str, unknown: Iterable[str] = ()) -> EncodedText:
    """An `EncodedText` with the sizes of the text and of its unknown parts."""
    parts = list(unknown)
    words = len(text.split()) + text.count(LINE_END)
    sizes = len(text), len(utf8(text)), words, len(parts), sum(len(utf8(part)) for part in parts)
    return EncodedText(codes.to(torch.int64), *sizes)


def utf8(text: str) -> bytes:
    """A text in UTF-8. Bytes that the command line could not decode (surrogate escapes) are restored."""
    return text.encode("utf-8", "surrogateescape")
