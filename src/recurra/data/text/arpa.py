"""Language models in ARPA's format, which SRILM, KenLM, Kaldi and Sphinx write and read."""

import gzip
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np

from recurra.data.text.ngram_model import NgramModel, NgramTable
from recurra.errors import DataError
from recurra.files import write_atomically

__all__ = ["read_arpa", "write_arpa"]

_COUNT = re.compile(r"ngram\s+(\d+)\s*=\s*(\d+)$", re.IGNORECASE)
_SECTION = re.compile(r"\\(\d+)-grams:$", re.IGNORECASE)


def read_arpa(path: str | Path) -> NgramModel:
    r"""Read a language model.

    What stands before the line ``\data\`` is skipped. Fields are separated by tabs or spaces.

    Args:
        path: of the file; compressed by gzip if it ends in .gz.

    Raises:
        DataError: naming the file and the line, if it is not such a model.
    """
    return _Reader(Path(path)).model()


def write_arpa(model: NgramModel, path: str | Path) -> None:
    """Write a language model; compressed by gzip if the name ends in .gz.

    Probabilities are written with seven digits behind the point. A back-off weight of 1 is left out.
    """
    lines = ["\\data\\", *(f"ngram {n}={len(table.words)}" for n, table in enumerate(model.tables, 1))]
    for length, table in enumerate(model.tables, 1):
        lines += ["", f"\\{length}-grams:"]
        rows = zip(table.words.tolist(), table.log10_probs.tolist(), table.log10_backoffs.tolist(), strict=True)
        for ids, log_prob, backoff in rows:
            line = f"{log_prob:.7f}\t{' '.join(model.words[one] for one in ids)}"
            lines.append(f"{line}\t{backoff:.7f}" if backoff else line)
    text = "\n".join([*lines, "", "\\end\\", ""]).encode()
    target = Path(path)
    content = gzip.compress(text, mtime=0) if target.suffix == ".gz" else text
    write_atomically(target, lambda aside: aside.write_bytes(content))


class _Reader:
    def __init__(self, path: Path) -> None:
        self._path, self._number, self._line = path, 0, ""
        self._counts: list[int] = []
        self._ids: dict[str, int] = {}

    def model(self) -> NgramModel:
        try:
            lines = self._lines()
            self._read_counts(lines)
            tables = [self._read_table(lines, length) for length in range(1, len(self._counts) + 1)]
            if self._line.lower() != "\\end\\":
                self._fail(f"expected \\end\\, got {self._line!r}")
        except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
            raise DataError(f"{self._path}: cannot be read as text ({error})") from error
        return NgramModel(tuple(self._ids), tuple(tables))

    def _lines(self) -> Iterator[str]:
        """Lines that are not empty; the last read one is `_line`."""
        opened = gzip.open if self._path.suffix == ".gz" else open
        with opened(self._path, "rt", encoding="utf-8") as file:
            for self._number, line in enumerate(file, 1):
                self._line = line.strip()
                if self._line:
                    yield self._line
        self._fail("the file ends before \\end\\")

    def _read_counts(self, lines: Iterator[str]) -> None:
        for line in lines:
            if line.lower() == "\\data\\":
                break
        for line in lines:
            count = _COUNT.match(line)
            if count is None:
                break
            if int(count[1]) != len(self._counts) + 1:
                self._fail(f"expected the number of {len(self._counts) + 1}-grams, got {line!r}")
            self._counts.append(int(count[2]))
        if not self._counts:
            self._fail(f"expected 'ngram 1=COUNT' after \\data\\, got {self._line!r}")

    def _read_table(self, lines: Iterator[str], length: int) -> NgramTable:
        section = _SECTION.match(self._line)
        if section is None or int(section[1]) != length:
            self._fail(f"expected \\{length}-grams:, got {self._line!r}")
        expected, seen = self._counts[length - 1], set()
        words: list[tuple[int, ...]] = []
        numbers: list[tuple[float, float]] = []
        for line in lines:
            if line.startswith("\\") and (_SECTION.match(line) or line.lower() == "\\end\\"):
                break
            fields = line.split()
            if len(fields) not in (length + 1, length + 2):
                self._fail(f"expected a log-probability, {length} words and perhaps a back-off weight, got {line!r}")
            log_prob = self._float(fields[0])
            if log_prob > 0:
                self._fail(f"log10 of a probability is not above 0, got {fields[0]}")
            ids = tuple(self._id(word, length) for word in fields[1 : length + 1])
            if ids in seen:
                self._fail(f"{' '.join(fields[1 : length + 1])!r} is there twice")
            seen.add(ids)
            words.append(ids)
            numbers.append((log_prob, self._float(fields[-1]) if len(fields) == length + 2 else 0.0))
        if len(words) != expected:
            self._fail(f"the head of the file counts {expected} {length}-grams, but there are {len(words)}")
        values = np.array(numbers, np.float64).reshape(-1, 2)
        return NgramTable(np.array(words, np.int32).reshape(-1, length), values[:, 0].copy(), values[:, 1].copy())

    def _id(self, word: str, length: int) -> int:
        if length == 1:
            return self._ids.setdefault(word, len(self._ids))
        known = self._ids.get(word)
        if known is None:
            self._fail(f"{word!r} is not among the 1-grams")
        return known

    def _float(self, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not np.isfinite(value):
            self._fail(f"expected a number, got {text!r}")
        return value

    def _fail(self, reason: str) -> NoReturn:
        raise DataError(f"{self._path}, line {self._number}: {reason}")
