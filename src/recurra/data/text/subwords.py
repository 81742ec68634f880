"""Subwords: a vocabulary of pieces of words, learned from text (sentencepiece)."""

from collections.abc import Iterable

from recurra.data.text.sentencepiece_model import in_utf8, learn_model, load_model
from recurra.errors import DataError, ParameterError
from recurra.shapes import check_positive

__all__ = ["Subwords"]

_KINDS = ("bpe", "unigram")
_BYTES = 256
# Longer lines say nothing new, and sentencepiece would leave them out by itself.
_LONGEST_LINE = 4000


class Subwords:
    """A subword model: text to numbers and back.

    What it has no piece for is spelled in bytes, so that any line of text comes back as it was, but for runs of spaces,
    which become one (and U+2581, which stands for a space). The numbers of `padding`, `unknown`, `begin` and `end` are
    0 to 3.

    Args:
        model: as `train` made it, and `to_bytes` gives it.

    Raises:
        MissingExtraError: without sentencepiece.
        DataError: where the model is damaged.
    """

    padding, unknown, begin, end = 0, 1, 2, 3

    def __init__(self, model: bytes) -> None:
        self._model = model
        self._processor = load_model(model)

    @classmethod
    def train(cls, lines: Iterable[str], vocabulary_size: int = 8000, kind: str = "bpe") -> "Subwords":
        """Learn subwords; the same lines give the same model.

        Args:
            lines: of text.
            vocabulary_size: pieces at most, with 4 special ones and 256 bytes among them; there are fewer where the
                text does not have so many.
            kind: "bpe" (byte-pair encoding, Sennrich et al. 2016) or "unigram" (Kudo 2018).

        Raises:
            MissingExtraError: without sentencepiece.
            ParameterError: for an unknown kind, or a vocabulary too small for the characters of the text.
            DataError: where there is no text.
        """
        if kind not in _KINDS:
            raise ParameterError("kind", f"one of {', '.join(_KINDS)}", kind)
        check_positive("vocabulary_size", vocabulary_size, at_least=_BYTES + 5)
        given = [line[:_LONGEST_LINE] for line in lines if line.strip()]
        if not given:
            raise DataError("there is no text to learn subwords from")
        model = learn_model(
            given,
            vocabulary_size,
            model_type=kind,
            character_coverage=0.9999,
            hard_vocab_limit=kind == "bpe",
            max_sentence_length=4 * _LONGEST_LINE + 1,
            pad_id=cls.padding,
            unk_id=cls.unknown,
            bos_id=cls.begin,
            eos_id=cls.end,
        )
        return cls(model)

    def __len__(self) -> int:
        return self._processor.GetPieceSize()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Subwords) and self._model == other._model

    def __hash__(self) -> int:
        return hash(self._model)

    def encode(self, line: str) -> list[int]:
        """The numbers of a line's subwords, without begin and end."""
        return self._processor.EncodeAsIds(in_utf8(line))

    def decode(self, numbers: Iterable[int]) -> str:
        """The text of numbers; special ones are left out."""
        return self._processor.DecodeIds([int(n) for n in numbers if n > self.end])

    def pieces(self, numbers: Iterable[int]) -> list[str]:
        """The subwords of numbers; "▁" is a space before."""
        return [self._processor.IdToPiece(int(number)) for number in numbers]

    def to_bytes(self) -> bytes:
        """The model, to be kept in a file."""
        return self._model
