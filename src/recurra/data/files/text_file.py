"""Text files in UTF-8, plain or gzipped."""

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path

from recurra.errors import DataError

__all__ = [
    "TextForm",
    "check_file",
    "check_text_start",
    "is_binary",
    "read_text",
    "read_text_and_form",
    "text_and_form",
]

_LONGEST_NAME = 255  # bytes or characters, of any common file system


@dataclass(frozen=True)
class TextForm:
    """What `read_text` leaves out of a file.

    Attributes:
        has_mark: whether the file begins with a byte-order mark.
        line_end: what most of its lines end with.
    """

    has_mark: bool = False
    line_end: str = "\n"

    def applied(self, text: str) -> str:
        """A text whose lines end with newlines, in this form."""
        return "\ufeff" * self.has_mark + text.replace("\n", self.line_end)


def check_file(path: str | Path) -> Path:
    """Check that a path names a file that exists and is not empty, and return it. Raises DataError otherwise."""
    if "\n" in str(path) or len(Path(path).name) > _LONGEST_NAME:
        start = " ".join(str(path)[:40].split())
        raise DataError(f"{start!r}...: the path of a file was expected, and this is a text. Write it into a file.")
    path = Path(path)
    if not path.exists():
        if path.is_symlink():
            raise DataError(f"{path}: a link to {path.readlink()}, which is not there. Mend or remove the link.")
        raise DataError(f"{path}: no such file. Check the path.")
    if path.is_dir():
        raise DataError(f"{path}: not a file but a folder. Name a file in it.")
    if not path.is_file():
        raise DataError(f"{path}: not a regular file but a pipe or a device. Name a file.")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty.")
    return path


def is_binary(data: bytes) -> bool:
    """Whether a file that begins with these bytes is not text in UTF-8: they have a zero among the first 65,536."""
    return b"\0" in data[:65536]


def check_text_start(data: bytes, source: str) -> None:
    """Check that a file that begins with these bytes may be text in UTF-8. Raises DataError otherwise."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{source}: the text is UTF-16, expected UTF-8. Save it as UTF-8.")
    if is_binary(data):
        raise DataError(f"{source}: the file is binary, expected text (plain, or compressed as .gz).")


def read_text(path: str | Path) -> str:
    """Read a text file. Line ends become newlines, a byte-order mark is removed, and .gz is decompressed.

    Raises:
        DataError: the file is missing, unreadable, empty, binary, or not UTF-8.
    """
    return read_text_and_form(path)[0]


def read_text_and_form(path: str | Path) -> tuple[str, TextForm]:
    """Read a text file, as `read_text` does, and the form that it had."""
    path = check_file(path)
    try:
        data = path.read_bytes()
        if path.suffix.lower() == ".gz":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}).") from None
    return text_and_form(data, str(path))


def text_and_form(data: bytes, source: str) -> tuple[str, TextForm]:
    """Decode the content of a text file; see `read_text_and_form`.

    Args:
        data: the content, decompressed.
        source: the name of the file in messages.

    Raises:
        DataError: the content is empty, binary, or not UTF-8.
    """
    check_text_start(data, source)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"{source}, line {line}: the text is not UTF-8. Save the file as UTF-8.") from None
    if not text.strip():
        raise DataError(f"{source}: the file is empty.")
    plain = text.replace("\r\n", "\n")
    both, single, alone = text.count("\r\n"), plain.count("\n") - text.count("\r\n"), plain.count("\r")
    line_end = "\r\n" if both > max(single, alone) else "\r" if alone > single else "\n"
    return plain.replace("\r", "\n"), TextForm(data.startswith(b"\xef\xbb\xbf"), line_end)
