"""The paths of SVG (W3C, Scalable Vector Graphics 2, chapter 9) as lines of points."""

import math
import re
from collections.abc import Iterator

import numpy as np

from recurra.errors import DataError

__all__ = ["path_lines"]

_NUMBER = re.compile(r"\s*,?\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)")
_FLAG = re.compile(r"\s*,?\s*([01])")
_COMMAND = re.compile(r"\s*([MmZzLlHhVvCcSsQqTtAa])")
# The number of arguments of each command.
_ARGUMENTS = {"M": 2, "L": 2, "H": 1, "V": 1, "C": 6, "S": 4, "Q": 4, "T": 2, "A": 7, "Z": 0}
_CURVE_POINTS = 32


def path_lines(data: str, where: str) -> list[np.ndarray]:
    """The lines (n, 2) of the attribute `d` of a path: curves and arcs become 32 segments each.

    Args:
        data: the attribute.
        where: where it stands, for messages.

    Raises:
        DataError: the path is not one of SVG.
    """
    lines: list[list[np.ndarray]] = []
    current = start = np.zeros(2)
    # The last control point, and of which kind of curve it was.
    control, kind = current, ""
    for letter, values in _commands(data, where):
        upper, is_relative = letter.upper(), letter.islower()
        if not lines and upper != "M":
            raise DataError(f"{where}: a path begins with {letter!r}, expected M or m.")
        base = current if is_relative else np.zeros(2)
        if upper == "M":
            current = start = base + values
            lines.append([current])
        elif upper == "Z":
            if not np.array_equal(current, start):
                lines[-1].append(start)
            current = start
        else:
            if kind == "Z":
                lines.append([current])
            points, control = _segment(upper, values, current, base, control if kind else current, kind)
            lines[-1] += points
            current = points[-1]
        if upper in "ML" + "HVZA":
            control = current
        kind = {"C": "C", "S": "C", "Q": "Q", "T": "Q", "Z": "Z"}.get(upper, "")
    return [np.array(line) for line in lines]


def _commands(data: str, where: str) -> Iterator[tuple[str, np.ndarray]]:
    """The commands with their arguments, one set each."""
    at = 0
    letter = ""
    while data[at:].strip():
        match = _COMMAND.match(data, at)
        if match:
            letter, at = match[1], match.end()
        elif letter.upper() in ("", "Z"):
            raise DataError(f"{where}: {data[at : at + 20].strip()!r} in a path, expected a command such as M or L.")
        elif letter in "Mm":
            letter = "L" if letter == "M" else "l"
        count = _ARGUMENTS[letter.upper()]
        values = []
        for position in range(count):
            pattern = _FLAG if letter in "Aa" and position in (3, 4) else _NUMBER
            match = pattern.match(data, at)
            if match is None:
                got = data[at : at + 20].strip() or "the end"
                raise DataError(f"{where}: {letter} has {position} of {count} numbers before {got!r} in a path.")
            values.append(float(match[1]))
            at = match.end()
        if not all(map(math.isfinite, values)):
            raise DataError(f"{where}: a number of {letter} is not finite in a path.")
        yield letter, np.array(values)


def _segment(
    upper: str, values: np.ndarray, current: np.ndarray, base: np.ndarray, control: np.ndarray, kind: str
) -> tuple[list[np.ndarray], np.ndarray]:
    """The points after the current one, and the control point that a smooth curve would reflect."""
    if upper in "HV":
        axis = 0 if upper == "H" else 1
        end = current.copy()
        end[axis] = base[axis] + values[0]
        return [end], end
    if upper == "A":
        end = base + values[5:]
        return _arc(current, end, *values[:5].tolist()), end
    points = [base + pair for pair in values.reshape(-1, 2)]
    if upper == "L":
        return points, points[-1]
    if upper in "ST":
        same = kind == ("C" if upper == "S" else "Q")
        points.insert(0, 2 * current - control if same else current)
    return _bezier([current, *points]), points[-2]


def _bezier(points: list[np.ndarray]) -> list[np.ndarray]:
    """Points on the Bezier curve of degree 2 or 3, the first left out."""
    degree = len(points) - 1
    t = np.linspace(0, 1, _CURVE_POINTS + 1)[1:, None]
    curve = sum(math.comb(degree, k) * (1 - t) ** (degree - k) * t**k * point for k, point in enumerate(points))
    return list(np.asarray(curve))


def _arc(
    begin: np.ndarray, end: np.ndarray, rx: float, ry: float, rotation: float, large: float, sweep: float
) -> list[np.ndarray]:
    """Points on an elliptical arc, the first left out (SVG 2, B.2.4 and B.2.5)."""
    rx, ry = abs(rx), abs(ry)
    if np.array_equal(begin, end) or not (rx and ry):
        return [end]
    angle = math.radians(rotation)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    half = turn.T @ (begin - end) / 2
    size = float(np.hypot(half[0] / rx, half[1] / ry))
    if size > 1:
        rx, ry = rx * size, ry * size
    # On the unit circle the ends are +-unit, and the centre is beside their middle.
    unit = half / (rx, ry)
    squared = float(unit @ unit)
    away = math.sqrt(max(1 / squared - 1, 0.0)) * (1 if large != sweep else -1)
    centre = away * np.array([unit[1], -unit[0]])
    first = math.atan2(*(unit - centre)[::-1])
    span = math.atan2(*(-unit - centre)[::-1]) - first
    if sweep and span < 0:
        span += 2 * math.pi
    elif not sweep and span > 0:
        span -= 2 * math.pi
    angles = first + span * np.linspace(0, 1, _CURVE_POINTS + 1)[1:]
    circle = np.column_stack([np.cos(angles), np.sin(angles)]) + centre
    points = (circle * (rx, ry)) @ turn.T + (begin + end) / 2
    points[-1] = end
    return list(points)
