"""Lines of the IAM On-Line Handwriting Database: strokes of a whiteboard, and their text in another folder."""

from pathlib import Path

import numpy as np

from recurra.data.drawings.lined_drawing import LinedDrawing
from recurra.data.drawings.strokes import check_line
from recurra.data.drawings.xml_file import local_name, read_xml
from recurra.data.files.text_file import read_text
from recurra.errors import DataError

__all__ = ["read_iam_on_db"]

_STROKES, _TEXTS = "lineStrokes", "ascii"
_BEGIN = "CSR:"  # the corrected transcription follows


def read_iam_on_db(path: str | Path) -> LinedDrawing:
    """A line of handwriting of IAM-OnDB (Liwicki and Bunke 2005), with its text if that lies where the database has it.

    The file lineStrokes/a01/a01-000/a01-000u-02.xml holds the strokes of line 2 of the form a01-000u, and what follows
    `CSR:` in ascii/a01/a01-000/a01-000u.txt is the text of the form, a line a line.

    Raises:
        DataError: the file is missing, not XML, has no stroke, or one whose points are not finite numbers.
    """
    path = Path(path)
    lines = []
    for stroke in (one for one in read_xml(path).iter() if local_name(one) == "Stroke"):
        where = f"{path}, Stroke {len(lines) + 1}"
        try:
            points = [[float(point.get(axis, "")) for axis in "xy"] for point in stroke if local_name(point) == "Point"]
        except ValueError:
            raise DataError(f'{where}: a Point has no x or y that is a number, such as x="10" y="20".') from None
        if not points:
            raise DataError(f"{where}: it has no Point.")
        lines.append(check_line(np.array(points), where))
    if not lines:
        raise DataError(f"{path}: no Stroke with Points, as in IAM-OnDB's {_STROKES}.")
    return LinedDrawing(lines, text=_text_of(path))


def _text_of(path: Path) -> str:
    """The text of a file of strokes; empty if there is none for it."""
    form, _, number = path.name.partition(".")[0].rpartition("-")
    folders = [_TEXTS if name == _STROKES else name for name in path.parts[:-1]]
    texts = Path(*folders, f"{form}.txt")
    if _STROKES not in path.parts or not number.isdecimal() or not texts.is_file():
        return ""
    lines = read_text(texts).partition(_BEGIN)[2].split("\n")
    written = [line.strip() for line in lines if line.strip()]
    return written[int(number) - 1] if 1 <= int(number) <= len(written) else ""
