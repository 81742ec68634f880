"""Text files of any size, read in pieces."""

import codecs
import gzip
import zlib
from collections.abc import Iterator
from io import IncrementalNewlineDecoder
from pathlib import Path

from recurra.data.files.text_file import check_file, check_text_start
from recurra.errors import DataError

__all__ = ["text_pieces"]

_BLOCK = 1 << 20  # bytes


def text_pieces(path: str | Path) -> Iterator[str]:
    """The text of a file as `read_text` returns it, in pieces of about a million characters.

    Raises:
        DataError: the file is missing, unreadable, empty, binary, or not UTF-8.
    """
    path = check_file(path)
    decoder = IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8-sig")(), translate=True)
    lines, blank, begun = 0, True, False
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            while block := file.read(_BLOCK):
                if not begun:
                    check_text_start(block, str(path))
                    begun = True
                piece = decoder.decode(block)
                lines += block.count(b"\n")
                blank = blank and not piece.strip()
                yield piece
        if piece := decoder.decode(b"", final=True):
            blank = blank and not piece.strip()
            yield piece
    except UnicodeDecodeError as error:
        line = lines + error.object.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}, line {line}: the text is not UTF-8. Save the file as UTF-8.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}).") from None
    if blank:
        raise DataError(f"{path}: the file is empty.")
