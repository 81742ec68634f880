"""What a recogniser writes: characters, subwords or whole words, with the blank of CTC and the transducer as id 0."""

import base64
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Literal, Self

from recurra.data.text.subwords import Subwords
from recurra.errors import DataError, ParameterError
from recurra.shapes import check_positive

__all__ = ["BLANK", "UNITS", "Alphabet"]

BLANK = "<blank>"
"""The name of the symbol with id 0, which writes nothing."""
UNITS = ("characters", "subwords", "words")

# sentencepiece's special ids, and the names of its pieces for bytes.
_SPECIAL = 4
_BYTE = re.compile("<0x[0-9A-F]{2}>")


class Alphabet:
    """The symbols that a recogniser writes, and their ids.

    Args:
        units: what a symbol is, one of `UNITS`.
        symbols: the symbols (V), the first of which is `BLANK`. In subwords "\u2581" stands for a space.
        subwords: the model that splits words; None: the units are not subwords.

    Raises:
        ParameterError: the units are unknown, or the first symbol is not the blank.
    """

    def __init__(self, units: str, symbols: Sequence[str], subwords: Subwords | None = None) -> None:
        if units not in UNITS or (units == "subwords") != (subwords is not None):
            raise ParameterError("units", f"one of {', '.join(UNITS)}, subwords with a model of them", units)
        if not symbols or symbols[0] != BLANK:
            raise ParameterError("symbols", f"{BLANK} first", symbols[:1])
        self.units, self.symbols, self.subwords = units, tuple(symbols), subwords
        self._ids = {symbol: index for index, symbol in enumerate(self.symbols)}

    @classmethod
    def learn(
        cls,
        texts: Iterable[str],
        units: Literal["characters", "subwords", "words"] = "characters",
        size: int = 300,
        min_count: int = 1,
    ) -> Self:
        """Learn the symbols of transcripts, normalised before. The same texts always give the same alphabet.

        Args:
            texts: transcripts.
            units: what a symbol is.
            size: the number of subwords at most, the blank and 256 bytes not included.
            min_count: characters and words that occur less often are left out.

        Raises:
            DataError: there is no text, or too little for subwords.
            MissingExtraError: subwords need sentencepiece, and it is not installed.
            ParameterError: a value is out of range, or `size` is too small for the characters of the texts.
        """
        check_positive("min_count", min_count)
        texts = list(texts)
        if not any(text.strip() for text in texts):
            raise DataError("there is no text to learn an alphabet from")
        if units == "subwords":
            check_positive("size", size)
            subwords = Subwords.train(texts, size + _SPECIAL + 256)
            pieces = subwords.pieces(range(_SPECIAL, len(subwords)))
            # Bytes, which no transcript of training needs, would be outputs that nothing trains.
            return cls(units, [BLANK, *(piece for piece in pieces if not _BYTE.fullmatch(piece))], subwords)
        counts = Counter(one for text in texts for one in (text.split() if units == "words" else text))
        return cls(units, [BLANK, *sorted(one for one, count in counts.items() if count >= min_count)])

    def __len__(self) -> int:
        return len(self.symbols)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Alphabet) and self.to_json() == other.to_json()

    __hash__ = object.__hash__

    def split(self, text: str) -> list[str]:
        """The symbols of a transcript, in the alphabet or not."""
        if self.subwords is not None:
            return self.subwords.pieces(self.subwords.encode(text))
        return text.split() if self.units == "words" else list(text)

    def encode(self, text: str) -> list[int]:
        """The ids of a transcript, from 1 to V - 1. Raises DataError: a symbol is not in the alphabet."""
        unknown = self.unknown(text)
        if unknown:
            raise DataError(f"{unknown[0]!r} in {text[:60]!r} is not in the alphabet of {len(self)} {self.units}")
        return [self._ids[symbol] for symbol in self.split(text)]

    def unknown(self, text: str) -> list[str]:
        """The symbols of a transcript that are not in the alphabet, each once."""
        return list(dict.fromkeys(symbol for symbol in self.split(text) if symbol not in self._ids))

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids, without blanks and without spaces at its ends."""
        symbols = [self.symbols[one] for one in ids if one]
        if self.units == "words":
            return " ".join(symbols)
        if self.subwords is None:
            return "".join(symbols).strip()
        spelled = b"".join(self.subwords.spell(self.subwords.id_of(symbol)) for symbol in symbols)
        return spelled.decode("utf-8", "replace").strip()

    def to_json(self) -> dict[str, Any]:
        """The alphabet as JSON values, which `from_json` reads."""
        model = None if self.subwords is None else base64.b64encode(self.subwords.to_bytes()).decode()
        return {"units": self.units, "symbols": list(self.symbols), "sentencepiece": model}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Read the result of `to_json`."""
        model = values["sentencepiece"]
        return cls(values["units"], values["symbols"], None if model is None else Subwords(base64.b64decode(model)))
