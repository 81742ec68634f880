"""SVG files: a drawing a file, with the lines of its shapes in the order of the file."""

import math
import re
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from recurra.data.drawings.strokes import check_line
from recurra.data.drawings.svg_path import path_lines
from recurra.data.drawings.xml_file import local_name, read_xml
from recurra.errors import DataError

__all__ = ["read_svg"]

# Their content is not drawn where it stands.
_UNSEEN = {"defs", "clipPath", "mask", "marker", "symbol", "pattern"}
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_TRANSFORM = re.compile(r"(\w+)\s*\(([^)]*)\)")
_CIRCLE_POINTS = 64


def read_svg(path: str | Path) -> list[np.ndarray]:
    """The lines (n, 2) of the paths, lines, polylines, polygons, rectangles, circles and ellipses of an SVG file.

    Transforms of shapes and groups are applied. Style sheets, text and `use` are left out.

    Raises:
        DataError: the file is missing, not SVG, has no shape, or one with a fault.
    """
    root = read_xml(path)
    if local_name(root) != "svg":
        raise DataError(f"{path}: the root element is {local_name(root)!r}, expected 'svg'.")
    lines: list[np.ndarray] = []
    try:
        _collect(root, np.eye(3), lines, str(path))
    except RecursionError:
        raise DataError(f"{path}: its groups lie too deep within each other. Ungroup them.") from None
    if not lines:
        raise DataError(f"{path}: no path, line, polyline, polygon, rect, circle or ellipse to draw.")
    return lines


def _collect(element: Element, outer: np.ndarray, lines: list[np.ndarray], source: str) -> None:
    name = local_name(element)
    if (
        name in _UNSEEN
        or re.search(r"display\s*:\s*none", element.get("style", ""))
        or element.get("display") == "none"
    ):
        return
    matrix = outer @ _matrix(element.get("transform", ""), source)
    try:
        shapes = _shape(name, element, f"{source}, {name}")
    except (ValueError, OverflowError):
        raise DataError(f"{source}: an element {name!r} has an attribute that is not a number.") from None
    for line in shapes:
        moved = line @ matrix[:2, :2].T + matrix[:2, 2]
        lines.append(check_line(moved, f"{source}, an element {name!r}"))
    for child in element:
        _collect(child, matrix, lines, source)


def _shape(name: str, element: Element, where: str) -> list[np.ndarray]:
    """The lines of one element; none if it is not a shape."""

    def number(attribute: str, default: float = 0.0) -> float:
        return float(element.get(attribute, "").strip().removesuffix("px") or default)

    if name == "path":
        return path_lines(element.get("d", ""), where)
    if name == "line":
        return [np.array([[number("x1"), number("y1")], [number("x2"), number("y2")]])]
    if name in ("polyline", "polygon"):
        words = element.get("points", "").replace(",", " ").split()
        points = np.array(list(map(float, words))).reshape(-1, 2)
        if not len(points):
            return []
        return [np.concatenate([points, points[:1]]) if name == "polygon" else points]
    if name == "rect":
        x, y, width, height = map(number, ("x", "y", "width", "height"))
        return [np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height], [x, y]])]
    if name in ("circle", "ellipse"):
        rx, ry = (number("r"), number("r")) if name == "circle" else (number("rx"), number("ry"))
        angles = np.linspace(0, 2 * math.pi, _CIRCLE_POINTS + 1)
        return [np.column_stack([number("cx") + rx * np.cos(angles), number("cy") + ry * np.sin(angles)])]
    return []


def _matrix(transform: str, source: str) -> np.ndarray:
    """The matrix (3, 3) of an attribute `transform`."""
    matrix = np.eye(3)
    for kind, arguments in _TRANSFORM.findall(transform):
        values = [float(word) for word in _NUMBER.findall(arguments)]
        try:
            matrix = matrix @ _of_kind(kind, values)
        except (ValueError, IndexError):
            raise DataError(f"{source}: the transform {kind}({arguments}) is not one of SVG.") from None
    return matrix


def _of_kind(kind: str, values: list[float]) -> np.ndarray:
    one = np.eye(3)
    if kind == "matrix":
        a, b, c, d, e, f = values
        return np.array([[a, c, e], [b, d, f], [0, 0, 1]])
    if kind == "translate":
        one[:2, 2] = values[0], values[1] if len(values) > 1 else 0.0
    elif kind == "scale":
        one[0, 0], one[1, 1] = values[0], values[-1]
    elif kind == "rotate":
        cos, sin = math.cos(math.radians(values[0])), math.sin(math.radians(values[0]))
        one[:2, :2] = [[cos, -sin], [sin, cos]]
        if len(values) == 3:
            centre = np.array(values[1:])
            one[:2, 2] = centre - one[:2, :2] @ centre
    elif kind in ("skewX", "skewY"):
        one[(0, 1) if kind == "skewX" else (1, 0)] = math.tan(math.radians(values[0]))
    else:
        raise ValueError(kind)
    return one
