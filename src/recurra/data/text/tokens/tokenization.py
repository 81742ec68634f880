"""What every tokenisation does."""

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
    """A text as tokens, with its sizes in units that do not depend on how it was cut.

    Attributes:
        codes: (N,) int64, 0 to V - 1.
        characters: of the text.
        bytes: of the text in UTF-8.
        words: separated by white space; each line end counts for one.
        unknown: tokens that are not in the vocabulary.
        unknown_bytes: what these are in UTF-8.
    """

    codes: Tensor
    characters: int
    bytes: int
    words: int
    unknown: int = 0
    unknown_bytes: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """All but the codes."""
        return {name: value for name, value in asdict(self).items() if name != "codes"}


class Tokenization(ABC):
    """A way of cutting text into numbered tokens, kept with what it learned.

    Attributes:
        name: of the kind, among `TOKENS`.
        unit: what one token is called.
        unknown: the number of the token that stands for what is not in the vocabulary; None where all text is.
        line_end: the number of the line end.
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
        """A text as numbers."""

    @abstractmethod
    def spell(self, code: int, previous: int) -> bytes:
        """A token in UTF-8, as it is written after the token `previous`."""

    @abstractmethod
    def find_unknown(self, text: str) -> tuple[str, int] | None:
        """The first part of a text that is not in the vocabulary, and the character at which it begins, from 0."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """What `tokenization_from_json` reads."""

    def decode(self, codes: Iterable[int]) -> str:
        """The text of tokens that stand at the beginning of a line."""
        codes = list(codes)
        before = [self.line_end, *codes]
        return b"".join(map(self.spell, codes, before)).decode("utf-8", "replace")

    def pieces(self, codes: Iterable[int]) -> list[str]:
        """The text of each token, the first standing at the beginning of a line, as `speller` gives it."""
        return list(map(self.speller(), codes))

    def speller(self, previous: int | None = None) -> Callable[[int], str]:
        """A function from each token in turn to its text; of the bytes of one character the last brings it.

        Args:
            previous: the token before the first; the line end where None.
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
    """Codes with the sizes of their text, and what of it is unknown."""
    parts = list(unknown)
    words = len(text.split()) + text.count(LINE_END)
    sizes = len(text), len(utf8(text)), words, len(parts), sum(len(utf8(part)) for part in parts)
    return EncodedText(codes.to(torch.int64), *sizes)


def utf8(text: str) -> bytes:
    """A text in UTF-8; what came undecodable from a command line is the bytes it was."""
    return text.encode("utf-8", "surrogateescape")
