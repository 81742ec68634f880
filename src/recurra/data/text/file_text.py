"""A text that stays in its files and is read in pieces, however large it is."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from recurra.data.files.stored import checksum, fact_of_file
from recurra.data.files.text_file import check_file
from recurra.data.files.text_pieces import text_pieces
from recurra.errors import DataError

__all__ = ["FileText"]


@dataclass(frozen=True)
class _Span:
    """Characters `start` to `end` of the text of a file, whose bytes have the SHA-256 `checksum`."""

    path: str
    checksum: str
    start: int
    end: int


@dataclass(frozen=True)
class FileText:
    """A text that stays in its files. As of a string, there are its length, slices and sums.

    Use `of` to create an object.
    """

    _spans: tuple[_Span, ...]

    @classmethod
    def of(cls, path: str | Path) -> Self:
        """The text of a file, as `read_text` returns it. One process reads it, for its length and its checksum.

        Raises:
            DataError: the file is missing, unreadable, empty, binary, or not UTF-8, or changed while it was read.
            RunError: the user's cache folder cannot be written.
        """
        path = check_file(path)
        before = checksum(path)
        length = fact_of_file(path, "characters", lambda: sum(len(piece) for piece in text_pieces(path)))
        if checksum(path) != before:
            raise DataError(f"{path}: the file changed while it was read. Start again once nothing writes to it.")
        return cls((_Span(str(path.resolve()), before, 0, length),))

    def __len__(self) -> int:
        return sum(span.end - span.start for span in self._spans)

    def __getitem__(self, characters: slice) -> Self:
        start, end, step = characters.indices(len(self))
        if step != 1:
            raise ValueError("a slice of a text has no step")
        spans, before = [], 0
        for span in self._spans:
            first = span.start + max(start - before, 0)
            last = min(span.end, span.start + end - before)
            before += span.end - span.start
            if first < last:
                spans.append(_Span(span.path, span.checksum, first, last))
        return type(self)(tuple(spans))

    def __add__(self, other: "FileText") -> Self:
        return type(self)(self._spans + other._spans)

    def digest(self) -> str:
        """A checksum of the text, wherever its files are."""
        parts = [f"{span.checksum} {span.start} {span.end}\n" for span in self._spans]
        return sha256("".join(parts).encode()).hexdigest()

    def pieces(self, ends: str) -> Iterator[str]:
        """The text in pieces of about a million characters, each but the last ending with one of the characters `ends`.

        A piece is longer where that takes more.

        Raises:
            DataError: a file cannot be read, or is shorter than it was.
        """
        held: list[str] = []
        for piece in self._read():
            cut = max(piece.rfind(end) for end in ends) + 1
            if cut:
                yield "".join([*held, piece[:cut]])
                held = []
            held.append(piece[cut:])
        if rest := "".join(held):
            yield rest

    def check(self) -> None:
        """Check that the files still have the content that they had.

        Raises:
            DataError: one of them has changed, or is not there.
        """
        for span in self._spans:
            if not Path(span.path).is_file() or checksum(span.path) != span.checksum:
                raise DataError(
                    f"{span.path}: the file that the text was read from is not there, or has changed. Put it back, or "
                    "name another text (--data)."
                )

    def to_json(self) -> list[list[Any]]:
        """The values that `from_json` reads."""
        return [[span.path, span.checksum, span.start, span.end] for span in self._spans]

    @classmethod
    def from_json(cls, values: Iterable[Iterable[Any]]) -> Self:
        """Read the result of `to_json`; no file is looked at."""
        return cls(tuple(_Span(*one) for one in values))

    def _read(self) -> Iterator[str]:
        for span in self._spans:
            at = 0
            for piece in text_pieces(span.path):
                wanted = piece[max(span.start - at, 0) : max(span.end - at, 0)]
                at += len(piece)
                if wanted:
                    yield wanted
                if at >= span.end:
                    break
            else:
                raise DataError(f"{span.path}: the file became shorter while it was read.")
