"""InkML files: a drawing a file, a trace a line of the pen, perhaps with what it writes."""

from pathlib import Path

import numpy as np

from recurra.data.drawings.lined_drawing import LinedDrawing
from recurra.data.drawings.strokes import check_line
from recurra.data.drawings.xml_file import local_name, read_xml
from recurra.errors import DataError

__all__ = ["read_ink_ml"]

# The types of an annotation of the whole file that say what it writes.
_TEXTS = ("transcription", "text", "truth")
_EXPECTED = 'expected points such as "10 20, 11 22", x and y first'


def read_ink_ml(path: str | Path) -> LinedDrawing:
    """The lines (n, 2) of an InkML file (W3C 2011), one a trace, and what they write.

    The first two channels of a trace are x and y. Others, such as times and pressures, are left out. Points are
    explicit: differences of InkML (' and ") are refused. The text is that of the first annotation of the whole file
    whose type is "transcription", "text" or "truth".

    Raises:
        DataError: the file is missing or not XML, or it has no trace or one without points.
    """
    lines: list[np.ndarray] = []
    root = read_xml(path)
    for element in root.iter():
        if local_name(element) == "trace":
            lines.append(_points("".join(element.itertext()), f"{path}, trace {len(lines) + 1}"))
    if not lines:
        raise DataError(f"{path}: no trace; an InkML file has <trace> elements with points.")
    annotations = (one for one in root if local_name(one) == "annotation" and one.get("type") in _TEXTS)
    texts = (" ".join("".join(one.itertext()).split()) for one in annotations)
    return LinedDrawing(lines, text=next(filter(None, texts), ""))


def _points(text: str, where: str) -> np.ndarray:
    points = []
    for point in text.replace("!", " ").split(","):
        words = point.split()
        if not words:
            continue
        try:
            points.append([float(words[0]), float(words[1])])
        except (ValueError, IndexError):
            way_out = " Write the values themselves, without differences." if set(point) & {"'", '"'} else ""
            raise DataError(f"{where}: {point.strip()[:40]!r} is not a point; {_EXPECTED}.{way_out}") from None
    return check_line(np.array(points), where)
