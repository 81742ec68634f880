"""Subwords by sentencepiece, trained on the text itself."""

import base64
from collections.abc import Iterator
from itertools import chain
from typing import Any, Self

import torch

from recurra.data.text.sentencepiece_model import in_utf8, learn_model, load_model
from recurra.data.text.tokens.tokenization import LINE_END, EncodedText, Tokenization, encoded, utf8

__all__ = ["Subwords"]

_SPACE = "\u2581"  # what sentencepiece writes for a space
_LONGEST_SENTENCE = 1000  # characters; sentencepiece leaves out what is longer than 4192 bytes


class Subwords(Tokenization):
    """Byte-pair encoding (Sennrich et al. 2016) with bytes for what is rare, so that nothing is unknown.

    Text is cut as it stands, nothing is normalised, and decoding gives it back. (But for U+2581, which stands for the
    space and comes back as one.)

    Args:
        model: of sentencepiece, serialized.

    Raises:
        MissingExtraError: without sentencepiece.
        DataError: where the model is damaged.
    """

    name = "subwords"
    unit = "subword"

    def __init__(self, model: bytes) -> None:
        self._model = model
        self._processor = load_model(model)
        self.line_end = self._processor.piece_to_id(LINE_END)

    @classmethod
    def learn(cls, text: str, vocabulary_size: int = 2000) -> Self:
        """Train on a text, to the same result whenever it is the same text.

        Args:
            text: to learn from.
            vocabulary_size: V at most, fewer where the text does not have so many; 256 bytes, the line end and the
                characters of the text (the rarest in a thousand aside) are among them.

        Raises:
            MissingExtraError: without sentencepiece.
            ParameterError: for a size that is too small for the characters of the text.
            DataError: where the text has nothing to learn from.
        """
        model = learn_model(
            list(_sentences(text)),
            vocabulary_size,
            model_type="bpe",
            character_coverage=0.999,
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            allow_whitespace_only_pieces=True,
            user_defined_symbols=[LINE_END],
            bos_id=-1,
            eos_id=-1,
            pad_id=-1,
        )
        return cls(model)

    def __len__(self) -> int:
        return self._processor.vocab_size()

    def encode(self, text: str) -> EncodedText:
        lines = self._processor.encode(in_utf8(text).split(LINE_END), out_type=int)
        codes = list(chain.from_iterable((*line, self.line_end) for line in lines))[:-1]
        return encoded(torch.tensor(codes, dtype=torch.int64), text)

    def spell(self, code: int, previous: int) -> bytes:
        piece = self._processor.id_to_piece(code)
        if self._processor.is_byte(code):
            return bytes([int(piece[1:-1], 16)])
        return utf8(piece.replace(_SPACE, " "))

    def find_unknown(self, text: str) -> tuple[str, int] | None:
        return None

    def to_json(self) -> dict[str, Any]:
        return {"tokens": self.name, "sentencepiece": base64.b64encode(self._model).decode()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """From what `to_json` gave."""
        return cls(base64.b64decode(values["sentencepiece"]))


def _sentences(text: str) -> Iterator[str]:
    """The lines of a text, long ones in pieces."""
    for line in text.split(LINE_END):
        for start in range(0, len(line), _LONGEST_SENTENCE):
            yield line[start : start + _LONGEST_SENTENCE]
