"""Subwords as the tokens of a text."""

import base64
from itertools import chain
from typing import Any, Self

import torch

from recurra.data.text.file_text import FileText
from recurra.data.text.subwords import Subwords
from recurra.data.text.tokens.tokenization import LINE_END, EncodedText, Tokenization, encoded

__all__ = ["SubwordTokens"]

_MOST_LEARNED = 10_000_000  # characters of a text in files: a minute or two


class SubwordTokens(Tokenization):
    """Byte-pair encoding of a text, line ends included. Rare characters are spelled in bytes; no text is unknown.

    Decoding returns the text exactly, except that U+2581, sentencepiece's sign for a space, becomes a space.

    Args:
        subwords: the model, as `Subwords.train_exact` learns it.

    Raises:
        DataError: the model has no piece for the line end.
    """

    name = "subwords"
    unit = "subword"

    def __init__(self, subwords: Subwords) -> None:
        self.subwords = subwords
        self.line_end = subwords.id_of(LINE_END)

    @classmethod
    def learn(cls, text: str | FileText, vocabulary_size: int = 2000) -> Self:
        """Learn from a text. The same text always gives the same subwords.

        Args:
            text: the text to learn from. Of one in files that has more than 10 million characters, every n-th line is
                learned from, so that their characters are about as many.
            vocabulary_size: the largest number of subwords V, see `Subwords.train_exact`.

        Raises:
            MissingExtraError: sentencepiece is not installed.
            ParameterError: `vocabulary_size` is too small for the characters of the text.
            DataError: the text has no subwords to learn.
        """
        every = 1 if isinstance(text, str) else -(-len(text) // _MOST_LEARNED)
        lines = chain.from_iterable(piece.split(LINE_END)[::every] for piece in cls.pieces_to_learn(text))
        return cls(Subwords.train_exact(lines, vocabulary_size, symbols=[LINE_END]))

    def __len__(self) -> int:
        return len(self.subwords)

    def encode(self, text: str) -> EncodedText:
        lines = self.subwords.encode_lines(text.split(LINE_END))
        ids = list(chain.from_iterable((*line, self.line_end) for line in lines))[:-1]
        return encoded(torch.tensor(ids, dtype=torch.int64), text)

    def spell(self, token_id: int, previous: int) -> bytes:
        return self.subwords.spell(token_id)

    def names(self) -> list[bytes]:
        # A byte piece is spelled as the piece of the same character.
        return [piece.encode() for piece in self.subwords.pieces(range(len(self)))]

    def find_unknown(self, text: str) -> tuple[str, int] | None:
        return None

    def to_json(self) -> dict[str, Any]:
        return {"tokens": self.name, "sentencepiece": base64.b64encode(self.subwords.to_bytes()).decode()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Read the result of `to_json`."""
        return cls(Subwords(base64.b64decode(values["sentencepiece"])))
