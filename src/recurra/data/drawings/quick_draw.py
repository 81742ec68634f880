"""The .ndjson files of Quick, Draw!: a drawing a line, simplified or raw, perhaps with what it writes."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from recurra.data.drawings.drawings import Drawings
from recurra.data.drawings.lined_drawing import LinedDrawing
from recurra.data.drawings.strokes import check_line
from recurra.data.files.text_file import read_text
from recurra.errors import DataError

__all__ = ["read_quick_draw"]

_EXPECTED = 'expected {"word": ..., "drawing": [[[x, ...], [y, ...]], ...]}, a drawing a line'


def read_quick_draw(path: str | Path, epsilon: float | None) -> Drawings:
    """Read the drawings of an .ndjson file; the class of each is its `word`, or else the name of the file.

    A raw drawing, whose strokes also have times, is simplified as Quick, Draw! does. Handwriting has what it writes as
    `text`; see `LinedDrawing.strokes` for how it is simplified.

    Args:
        path: the file, plain or gzipped.
        epsilon: of the simplification of every drawing; None: 2 for raw drawings, and none for simplified ones.

    Raises:
        DataError: the file is missing, or a line is not a drawing.
    """
    strokes, labels, texts = [], [], []
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if line.strip():
            where = f"{path}, line {number}"
            values = _values(line, where)
            lines, is_raw = _lines(values["drawing"], where)
            used = (2.0 if is_raw else 0.0) if epsilon is None else epsilon
            text = values.get("text") or ""
            if not isinstance(text, str):
                raise DataError(f"{where}: the text is {text!r}, expected a string.")
            strokes.append(LinedDrawing(lines, text=text).strokes(used))
            texts.append(text)
            word = values.get("word")
            labels.append(word if isinstance(word, str) and word else Path(path).name.partition(".")[0])
    return Drawings(str(path), tuple(strokes), tuple(labels), texts=tuple(texts) if any(texts) else ())


def _values(line: str, where: str) -> dict[str, Any]:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        raise DataError(f"{where}: not JSON; {_EXPECTED}.") from None
    if not isinstance(values, dict) or not isinstance(values.get("drawing"), list):
        raise DataError(f"{where}: no drawing; {_EXPECTED}.")
    return values


def _lines(drawing: list[Any], where: str) -> tuple[list[np.ndarray], bool]:
    lines, is_raw = [], False
    for position, stroke in enumerate(drawing, 1):
        try:
            if not isinstance(stroke, list) or len(stroke) not in (2, 3):
                raise ValueError
            is_raw = is_raw or len(stroke) == 3
            line = np.array(stroke[:2], dtype=np.float64).T
        except (TypeError, ValueError, OverflowError):
            line = np.zeros(0)
        if line.ndim != 2 or not len(line) or not np.isfinite(line).all():
            raise DataError(
                f"{where}, stroke {position}: expected two lists of as many finite numbers, at least one (x and y), "
                "and perhaps one of times."
            )
        lines.append(check_line(line, f"{where}, stroke {position}"))
    if not lines:
        raise DataError(f"{where}: the drawing has no strokes.")
    return lines, is_raw
