"""A table of points as CSV or TSV."""

import math
from itertools import groupby
from pathlib import Path

import numpy as np

from recurra.data.drawings.lined_drawing import LinedDrawing
from recurra.data.drawings.strokes import check_line
from recurra.data.files.delimited import delimited_rows
from recurra.data.files.text_file import read_text
from recurra.errors import DataError

__all__ = ["read_points"]

_EXPECTED = "a table of points has the columns drawing, stroke, x and y, and perhaps label and text, in its first line"


def read_points(path: str | Path) -> list[LinedDrawing]:
    """Read the drawings of a CSV or TSV file.

    A row is a point: the columns `drawing` and `stroke` say to what it belongs, `x` and `y` where it is. Where there
    are such columns, `label` says of which class the drawing is, and `text` what it writes; the first row of a drawing
    counts. The points of a stroke, and the strokes of a drawing, are together.

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
    further = [table.names.index(name) if name in table.names else None for name in ("label", "text")]
    points = [
        (
            row[columns["drawing"]],
            row[columns["stroke"]],
            ["" if column is None else row[column] for column in further],
            _point(row, columns, at),
        )
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
        label, written = strokes[0][1][0][2]
        where = f"{path}, drawing {drawing!r}"
        lines = [check_line(np.array([point[3] for point in group]), where) for _, group in strokes]
        drawings.append(LinedDrawing(lines, label, written))
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
