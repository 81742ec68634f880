"""Symbols (characters, words, tags, labels) and their numbers."""

from collections import Counter
from collections.abc import Iterable, Sequence

from recurra.errors import DataError, ParameterError
from recurra.shapes import check_positive

__all__ = ["Vocabulary"]


class Vocabulary:
    """Symbols by number, from 0; those named special come first.

    Args:
        symbols: in the order of their numbers, each once.
        unknown: the symbol among them that stands for all others; None to refuse others.

    Raises:
        ParameterError: for a symbol that is there twice, or an `unknown` that is not there.
    """

    def __init__(self, symbols: Sequence[str], unknown: str | None = None) -> None:
        self.symbols = tuple(symbols)
        self._numbers = {symbol: number for number, symbol in enumerate(self.symbols)}
        if len(self._numbers) < len(self.symbols):
            twice = next(symbol for symbol, count in Counter(self.symbols).items() if count > 1)
            raise ParameterError("symbols", "each once", twice)
        if unknown is not None and unknown not in self._numbers:
            raise ParameterError("unknown", "one of the symbols", unknown)
        self.unknown = unknown

    @classmethod
    def count(
        cls,
        symbols: Iterable[str],
        special: Sequence[str] = (),
        unknown: str | None = None,
        min_count: int = 1,
        max_size: int | None = None,
    ) -> "Vocabulary":
        """The vocabulary of a text: special symbols first, the others by how often they occur.

        Args:
            symbols: as they occur.
            special: such as padding and the unknown; not counted.
            unknown: one of `special`, for what is left out or comes later.
            min_count: occurrences below which a symbol is left out.
            max_size: symbols at most, the special ones included; None for all.
        """
        check_positive("min_count", min_count)
        counts = Counter(symbols)
        for symbol in special:
            counts.pop(symbol, None)
        ordered = sorted((-count, symbol) for symbol, count in counts.items() if count >= min_count)
        kept = [symbol for _, symbol in ordered]
        if max_size is not None:
            check_positive("max_size", max_size, at_least=len(special))
            kept = kept[: max_size - len(special)]
        return cls([*special, *kept], unknown)

    def __len__(self) -> int:
        return len(self.symbols)

    def __contains__(self, symbol: str) -> bool:
        return symbol in self._numbers

    def __getitem__(self, symbol: str) -> int:
        """The number of a symbol; that of `unknown` where it is not there.

        Raises:
            DataError: where it is not there and there is no unknown.
        """
        number = self._numbers.get(symbol)
        if number is not None:
            return number
        if self.unknown is None:
            raise DataError(
                f"{symbol!r} is not in the vocabulary of {len(self)} symbols, which has none for unknown ones"
            )
        return self._numbers[self.unknown]

    def encode(self, symbols: Iterable[str]) -> list[int]:
        """The numbers of symbols; raises as `__getitem__`."""
        return [self[symbol] for symbol in symbols]

    def decode(self, numbers: Iterable[int]) -> list[str]:
        """The symbols of numbers."""
        return [self.symbols[number] for number in numbers]

    def to_json(self) -> dict[str, object]:
        """What `from_json` reads."""
        return {"symbols": list(self.symbols), "unknown": self.unknown}

    @classmethod
    def from_json(cls, values: dict[str, object]) -> "Vocabulary":
        """A vocabulary that `to_json` gave."""
        return cls(values["symbols"], values["unknown"])  # type: ignore[arg-type]
