"""Pretrained word vectors: the text and binary formats of word2vec, and the text format of GloVe."""

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from recurra.data.files.text_file import check_file
from recurra.errors import DataError
from recurra.shapes import check_positive

__all__ = ["WordVectors", "read_word_vectors"]

_BLOCK = 1 << 16


@dataclass(frozen=True)
class WordVectors:
    """Words and their vectors.

    Attributes:
        words: V different words.
        vectors: the vector of each word, (V, D) float32.
        source: the path of the file.
    """

    words: tuple[str, ...]
    vectors: np.ndarray
    source: str = ""

    @property
    def size(self) -> int:
        """D, the size of a vector."""
        return int(self.vectors.shape[1])


def read_word_vectors(path: str | Path, max_words: int | None = None) -> WordVectors:
    """Read word vectors, plain or gzipped (`.gz`). The format is detected from the content.

    A word2vec file (Mikolov et al. 2013) begins with a line with the number of words and the vector size. In the text
    format each word with its numbers is a line; in the binary format each word is followed by a space and little-endian
    float32 numbers. GloVe (Pennington et al. 2014) is the text format without the first line. If a word occurs twice,
    its first vector is used.

    Args:
        path: the file.
        max_words: the largest number of words to read. Files list frequent words first. None: all words.

    Raises:
        DataError: the file cannot be read, or a line or word does not follow the format. The message names it.
        ParameterError: `max_words` is below 1.
    """
    if max_words is not None:
        check_positive("max_words", max_words)
    path = check_file(path)
    words: dict[str, None] = {}
    rows: list[np.ndarray] = []
    try:
        with gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb") as file:
            for word, row in _entries(path, cast(BinaryIO, file)):
                if word not in words:
                    words[word] = None
                    rows.append(row)
                if max_words is not None and len(rows) == max_words:
                    break
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}).") from None
    if not rows:
        raise DataError(f"{path}: the file holds no word vectors.")
    return WordVectors(tuple(words), np.stack(rows), str(path))


def _entries(path: Path, file: BinaryIO) -> Iterator[tuple[str, np.ndarray]]:
    first = file.readline()
    header = first.split()
    if len(header) == 2 and all(part.isdigit() for part in header):
        count, size = int(header[0]), int(header[1])
        start = file.read(_BLOCK)
        if _is_binary(start, size):
            return _binary(path, start, file, count, size)
        return _text(path, start, file, size, 2)
    return _text(path, first, file, None, 1)


def _is_binary(start: bytes, size: int) -> bool:
    """Whether a file is binary: its header is not followed by a line of a word and `size` numbers."""
    try:
        fields = start.split(b"\n", 1)[0].decode().rstrip().split(" ")
        return len(fields) <= size or not np.isfinite([float(field) for field in fields[-size:]]).all()
    except ValueError:
        return True


def _text(path: Path, start: bytes, file: BinaryIO, size: int | None, first: int) -> Iterator[tuple[str, np.ndarray]]:
    for line_number, line in enumerate(_lines(start, file), start=first):
        if not line.strip():
            continue
        try:
            fields = line.decode("utf-8").rstrip("\r\n ").split(" ")
        except UnicodeDecodeError:
            raise DataError(f"{path}, line {line_number}: the text is not UTF-8. Save the file as UTF-8.") from None
        size = len(fields) - 1 if size is None else size
        # Words of some files contain spaces; the numbers are the last fields.
        word, values = " ".join(fields[:-size]), fields[-size:]
        try:
            row = np.array(values, dtype=np.float32)
        except ValueError:
            row = np.empty(0, dtype=np.float32)
        if size < 1 or not word or len(row) != size or not np.isfinite(row).all():
            got = line[:40].decode("utf-8", "replace").rstrip()
            raise DataError(f"{path}, line {line_number}: expected a word and {max(size, 1)} numbers, got {got!r}.")
        yield word, row


def _lines(start: bytes, file: BinaryIO) -> Iterator[bytes]:
    *whole, last = start.split(b"\n")
    yield from whole
    yield last + file.readline()
    yield from file


def _binary(path: Path, start: bytes, file: BinaryIO, count: int, size: int) -> Iterator[tuple[str, np.ndarray]]:
    buffer, at = start, 0
    for position in range(1, count + 1):
        while (space := buffer.find(b" ", at)) < 0 or len(buffer) < space + 1 + 4 * size:
            more = file.read(_BLOCK)
            if not more:
                raise DataError(f"{path}: cut off in word {position} of {count}; fetch the file again.")
            buffer, at = buffer[at:] + more, 0
        # Some programs write a newline after each vector, others do not.
        word = buffer[at:space].lstrip(b"\n")
        row = np.frombuffer(buffer, dtype="<f4", count=size, offset=space + 1).astype(np.float32)
        at = space + 1 + 4 * size
        if not np.isfinite(row).all():
            raise DataError(f"{path}, word {position} of {count}: a number is not finite; the file is damaged.")
        yield word.decode("utf-8", "replace"), row
