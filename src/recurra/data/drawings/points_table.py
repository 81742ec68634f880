"""A table of points as CSV or TSV."""

import math
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np

from recurra.data.files.delimited import delimited_rows
from recurra.data.files.text_file import read_text
from recurra.errors import DataError

__all__ = ["LinedDrawing", "read_points"]

_EXPECTED = "a table of points has the columns drawing, stroke, x and y, and perhaps label, in its first line"


class LinedDrawing(NamedTuple):
    """A drawing as it is in a table.

    Attributes:
        lines: (n, 2) each.
        label: its class; "": it has none.
    """

    lines: list[np.ndarray]
    label: str


def read_points(path: str | Path) -> list[LinedDrawing]:
    """Read the drawings of a CSV or TSV file.

    A row is a point: the columns `drawing` and `stroke` say to what it belongs, `x` and `y` where it is, and `label`,
    if there is one, of which class the drawing is. The points of a stroke, and the strokes of a drawing, are together.

    Raises:
        DataError: the file is missing, a column is missing, or a value is not a finite number.
    """
    text = read_text(path)
    table = delimited_rows(text, "\t" if "\t" in text.partition("\n")[0] else ",", str(path))
    missing = [name for name in ("drawing", "stroke", "x", "y") if table.names.count(name) != 1]
    if missing:
        raise DataError(f"{path}: no single column {missing[0]!r}; {_EXPECTED}.")
    if not table.rows:
        raise DataError(f"{path}: no points below the first line.")
    columns = {name: table.names.index(name) for name in ("drawing", "stroke", "x", "y")}
    label = table.names.index("label") if "label" in table.names else None
    points = [
        (row[columns["drawing"]], row[columns["stroke"]], "" if label is None else row[label], _point(row, columns, at))
        for row, at in zip(table.rows, (f"{path}, line {line}" for line in table.lines), strict=True)
    ]
    drawings, seen = [], set()
    for drawing, rows in groupby(points, key=lambda point: point[0]):
        if drawing in seen:
            raise DataError(f"{path}: the points of drawing {drawing!r} are not together; sort the table.")
        seen.add(drawing)
        strokes = [(key, list(group)) for key, group in groupby(rows, key=lambda point: point[1])]
        names = [key for key, _ in strokes]
        if len(set(names)) < len(names):
            raise DataError(f"{path}: the points of a stroke of drawing {drawing!r} are not together; sort the table.")
        drawings.append(LinedDrawing([np.array([point[3] for point in group]) for _, group in strokes],
                                     strokes[0][1][0][2]))  # fmt: skip
    return drawings


def _point(row: list[str], columns: dict[str, int], where: str) -> tuple[float, float]:
    values = []
    for name in ("x", "y"):
        field = row[columns[name]]
        try:
            values.append(float(field))
        except ValueError:
            values.append(math.nan)
        if not math.isfinite(values[-1]):
            raise DataError(f"{where}: {name} is {field!r}, expected a finite number.")
    return values[0], values[1]
