"""Subwords: a vocabulary of pieces of words, learned from text (sentencepiece)."""

from collections.abc import Iterable, Iterator, Sequence

from recurra.data.text.sentencepiece_model import in_utf8, learn_model, load_model
from recurra.errors import DataError, ParameterError
from recurra.shapes import check_positive

__all__ = ["Subwords"]

_KINDS = ("bpe", "unigram")
_BYTES = 256
_SPACE = "\u2581"  # what sentencepiece writes for a space
# Characters of a line in training. Longer lines add nothing to what sentences teach.
_LONGEST_LINE = 4000
# Characters of a part of a line in exact training. sentencepiece ignores lines of more than 4192 bytes.
_LONGEST_PART = 1000


class Subwords:
    """A subword model: it converts text to ids and back.

    A character without a piece of its own is spelled in UTF-8 bytes; no line is unknown. Two ways of training differ in
    what they do with white space and which special ids they reserve:

    - `train` is for sentences: decoding merges runs of spaces, and the ids 0 to 3 are `padding`, `unknown`, `begin` and
      `end`.
    - `train_exact` is for running text: decoding returns every space, and id 0 is unknown, the only special id.

    In both, U+2581, sentencepiece's sign for a space, comes back as a space.

    Args:
        model: sentencepiece's serialized model, as `to_bytes` returns it.

    Raises:
        MissingExtraError: sentencepiece is not installed.
        DataError: the model is damaged.
    """

    padding, unknown, begin, end = 0, 1, 2, 3

    def __init__(self, model: bytes) -> None:
        self._model = model
        self._processor = load_model(model)

    @classmethod
    def train(cls, lines: Iterable[str], vocabulary_size: int = 8000, kind: str = "bpe") -> "Subwords":
        """Learn the subwords of sentences. The same lines always give the same model.

        Args:
            lines: sentences. Blank ones are skipped.
            vocabulary_size: the largest number of pieces, the 4 special ones and 256 bytes included. A small text has
                fewer.
            kind: "bpe" (byte-pair encoding, Sennrich et al. 2016) or "unigram" (Kudo 2018).

        Raises:
            MissingExtraError: sentencepiece is not installed.
            ParameterError: `kind` is unknown, or `vocabulary_size` is too small for the characters of the text.
            DataError: the lines hold no text.
        """
        if kind not in _KINDS:
            raise ParameterError("kind", f"one of {', '.join(_KINDS)}", kind)
        check_positive("vocabulary_size", vocabulary_size, at_least=_BYTES + 5)
        sentences = [line[:_LONGEST_LINE] for line in lines if line.strip()]
        if not sentences:
            raise DataError("there is no text to learn subwords from")
        model = learn_model(
            sentences,
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

    @classmethod
    def train_exact(cls, lines: Iterable[str], vocabulary_size: int = 2000, symbols: Sequence[str] = ()) -> "Subwords":
        """Learn byte-pair encoding of running text, white space included. The same lines always give the same model.

        Args:
            lines: the lines of the text, without line ends.
            vocabulary_size: the largest number of pieces, 256 bytes, the symbols and the characters of the text (but
                the rarest in a thousand) included. A small text has fewer.
            symbols: pieces that the model has whatever the text, such as the line end.

        Raises:
            MissingExtraError: sentencepiece is not installed.
            ParameterError: `vocabulary_size` is too small for the characters of the text.
            DataError: the text has no subwords to learn.
        """
        model = learn_model(
            list(_parts(lines)),
            vocabulary_size,
            model_type="bpe",
            character_coverage=0.999,
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            allow_whitespace_only_pieces=True,
            user_defined_symbols=list(symbols),
            bos_id=-1,
            eos_id=-1,
            pad_id=-1,
        )
        return cls(model)

    def __len__(self) -> int:
        return self._processor.GetPieceSize()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Subwords) and self._model == other._model

    def __hash__(self) -> int:
        return hash(self._model)

    def encode(self, line: str) -> list[int]:
        """The ids of a line's subwords, without begin and end."""
        return self._processor.EncodeAsIds(in_utf8(line))

    def encode_lines(self, lines: Iterable[str]) -> list[list[int]]:
        """The ids of each line, as `encode` returns them, in one call of sentencepiece."""
        return self._processor.EncodeAsIds([in_utf8(line) for line in lines])

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids. Special ids are skipped."""
        return self._processor.DecodeIds([int(one) for one in ids if not self._is_special(int(one))])

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """The pieces with these ids; "▁" stands for a space."""
        return [self._processor.IdToPiece(int(one)) for one in ids]

    def spell(self, piece: int) -> bytes:
        """The piece with this id in UTF-8, its spaces included; a byte piece gives its byte."""
        text = self._processor.IdToPiece(piece)
        if self._processor.IsByte(piece):
            return bytes([int(text[1:-1], 16)])
        return text.replace(_SPACE, " ").encode()

    def id_of(self, piece: str) -> int:
        """The id of a piece.

        Raises:
            DataError: the model does not have this piece.
        """
        piece_id = self._processor.PieceToId(piece)
        if self._processor.IsUnknown(piece_id):
            raise DataError(f"the subword model has no piece {piece!r}; train it with this symbol")
        return piece_id

    def to_bytes(self) -> bytes:
        """The serialized model, to write to a file."""
        return self._model

    def _is_special(self, piece: int) -> bool:
        return self._processor.IsControl(piece) or self._processor.IsUnknown(piece)


def _parts(lines: Iterable[str]) -> Iterator[str]:
    """The lines, long ones in parts."""
    for line in lines:
        for start in range(0, len(line), _LONGEST_PART):
            yield line[start : start + _LONGEST_PART]
