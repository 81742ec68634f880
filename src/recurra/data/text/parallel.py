"""Parallel text (sentences and their translations) from two files of lines, or from one table."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from recurra.data.files.text_file import read_text
from recurra.errors import DataError, ParameterError

__all__ = ["ParallelText", "read_lines", "read_parallel"]


@dataclass(frozen=True)
class ParallelText:
    """Sentence pairs.

    Attributes:
        source: the sentences.
        target: the translation of each sentence.
        name: the names of the files, for messages.

    Raises:
        DataError: the numbers of sentences and translations differ.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    name: str = "the sentences"

    def __post_init__(self) -> None:
        if len(self.source) != len(self.target):
            raise DataError(
                f"{self.name}: {len(self.source)} source lines and {len(self.target)} target lines; line n of one must "
                "be the translation of line n of the other"
            )

    def __len__(self) -> int:
        return len(self.source)

    def filled(self) -> "ParallelText":
        """The pairs with text on both sides."""
        pairs = [(s, t) for s, t in zip(self.source, self.target, strict=True) if s.strip() and t.strip()]
        return ParallelText(tuple(s for s, _ in pairs), tuple(t for _, t in pairs), self.name)

    def take(self, indices: Sequence[int]) -> "ParallelText":
        """The pairs with these indices, from 0."""
        return ParallelText(tuple(self.source[i] for i in indices), tuple(self.target[i] for i in indices), self.name)

    def digest(self) -> str:
        """A checksum of all sentences, in hexadecimal."""
        digest = sha256()
        for side in (self.source, self.target):
            digest.update(str(len(side)).encode())
            for line in side:
                digest.update(line.encode("utf-8", "surrogatepass") + b"\n")
        return digest.hexdigest()


def read_lines(path: str | Path) -> tuple[str, ...]:
    """The lines of a text file, plain or gzipped (.gz), blank lines included.

    Raises:
        DataError: the file is missing, unreadable, empty, binary, or not UTF-8.
    """
    text = read_text(path)
    return tuple(text.removesuffix("\n").split("\n"))


def read_parallel(files: Sequence[str | Path]) -> ParallelText:
    """Read sentence pairs.

    Args:
        files: two text files, source and target, with corresponding lines; or one table with a tab between source and
            target (further columns are ignored). Files may be gzipped (.gz).

    Raises:
        DataError: a file cannot be read, the numbers of lines differ, or a row has no tab.
        ParameterError: `files` has neither one nor two elements.
    """
    if len(files) == 2:
        source, target = read_lines(files[0]), read_lines(files[1])
        if len(source) != len(target):
            raise DataError(
                f"{files[0]} has {len(source)} lines and {files[1]} {len(target)}; line n of one must be the "
                "translation of line n of the other"
            )
        return ParallelText(source, target, f"{files[0]} and {files[1]}")
    if len(files) != 1:
        expected = "a file of source lines and one of target lines, or one table of two columns"
        raise ParameterError("data", expected, [str(file) for file in files])
    pairs: list[list[str]] = []
    for line_number, line in enumerate(read_lines(files[0]), start=1):
        columns = line.split("\t")
        if len(columns) < 2:
            raise DataError(
                f"{files[0]}, line {line_number}: expected source and target, separated by a tab. For two files of "
                "lines, name both."
            )
        pairs.append(columns)
    return ParallelText(tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs), str(files[0]))
