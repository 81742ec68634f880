"""Symbols (characters, words, tags, labels) and their ids."""

from collections import Counter
from collections.abc import Iterable, Sequence

from recurra.errors import DataError, ParameterError
from recurra.shapes import check_positive

__all__ = ["Vocabulary"]


class Vocabulary:
    """A mapping between symbols and ids, which count from 0.

    Args:
        symbols: the symbols in the order of their ids, each once.
        unknown: the symbol that stands for all symbols outside the vocabulary. None: they are refused.

    Raises:
        ParameterError: a symbol occurs twice, or `unknown` is not among the symbols.
    """

    def __init__(self, symbols: Sequence[str], unknown: str | None = None) -> None:
        self.symbols = tuple(symbols)
        self._ids = {symbol: index for index, symbol in enumerate(self.symbols)}
        if len(self._ids) < len(self.symbols):
            twice = next(symbol for symbol, count in Counter(self.symbols).items() if count > 1)
            raise ParameterError("symbols", "each once", twice)
        if unknown is not None and unknown not in self._ids:
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
        """Build the vocabulary of a text: special symbols first, then all others by falling frequency.

        Args:
            symbols: the symbols of the text, with repetitions.
            special: symbols that are always included, such as padding and the unknown symbol.
            unknown: the symbol, one of `special`, that stands for all symbols outside the vocabulary.
            min_count: symbols that occur less often than this are left out.
            max_size: the largest number of symbols, special ones included. None: no limit.
        """
        check_positive("min_count", min_count)
        counts = Counter(symbols)
        for symbol in special:
            counts.pop(symbol, None)
        ordered = sorted((-count, symbol) for symbol, count in counts.items() if count >= min_count)
        included = [symbol for _, symbol in ordered]
        if max_size is not None:
            check_positive("max_size", max_size, at_least=len(special))
            included = included[: max_size - len(special)]
        return cls([*special, *included], unknown)

    def __len__(self) -> int:
        return len(self.symbols)

    def __contains__(self, symbol: str) -> bool:
        return symbol in self._ids

    def __getitem__(self, symbol: str) -> int:
        """The id of a symbol, or the id of `unknown` if the vocabulary does not have the symbol.

        Raises:
            DataError: the vocabulary has neither the symbol nor an unknown one.
        """
        symbol_id = self._ids.get(symbol)
        if symbol_id is not None:
            return symbol_id
        if self.unknown is None:
            raise DataError(
                f"{symbol!r} is not in the vocabulary of {len(self)} symbols, which has no symbol for unknown ones"
            )
        return self._ids[self.unknown]

    def encode(self, symbols: Iterable[str]) -> list[int]:
        """The ids of symbols. Raises DataError, see `__getitem__`."""
        return [self[symbol] for symbol in symbols]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """The symbols with these ids."""
        return [self.symbols[one] for one in ids]

    def to_json(self) -> dict[str, object]:
        """The vocabulary as JSON values, which `from_json` reads."""
        return {"symbols": list(self.symbols), "unknown": self.unknown}

    @classmethod
    def from_json(cls, values: dict[str, object]) -> "Vocabulary":
        """Read the result of `to_json`."""
        return cls(values["symbols"], values["unknown"])  # type: ignore[arg-type]
