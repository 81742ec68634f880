"""Lines with fewer points: resampling and the algorithm of Ramer, Douglas and Peucker."""

from collections.abc import Sequence

import numpy as np

__all__ = ["BOX", "in_box", "resample", "simplified", "simplify", "thinned"]

BOX = 255.0
"""The longer side of a drawing in the simplified files of Quick, Draw!."""

_FINE = 1e-12


def simplified(lines: Sequence[np.ndarray], epsilon: float) -> list[np.ndarray]:
    """Lines (n, 2) as the simplified drawings of Quick, Draw! are made (Ha and Eck 2018).

    They are moved and scaled so that the longer side is 255, resampled with points 1 apart, and simplified by the
    algorithm of Ramer, Douglas and Peucker. Quick, Draw! has an epsilon of 2.
    """
    return thinned(in_box(lines), epsilon, 1.0)


def thinned(lines: Sequence[np.ndarray], epsilon: float, unit: float) -> list[np.ndarray]:
    """Lines (n, 2) where they are, resampled with points `unit` apart and simplified with `epsilon` times that."""
    if not unit > 0:
        return [line.copy() for line in lines]
    return [simplify(resample(line, unit), epsilon * unit) for line in lines]


def in_box(lines: Sequence[np.ndarray], side: float = BOX) -> list[np.ndarray]:
    """Lines moved to begin at 0 in both directions, and scaled so that the longer side is `side`."""
    points = np.concatenate(lines)
    low = points.min(axis=0)
    longer = float((points.max(axis=0) - low).max())
    return [(line - low) * (side / longer if longer > _FINE else 1.0) for line in lines]


def resample(line: np.ndarray, spacing: float) -> np.ndarray:
    """Points along a line (n, 2), `spacing` apart, and its last point."""
    lengths = np.hypot(*np.diff(line, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    if along[-1] <= _FINE:
        return line[:1].copy()
    count = int(along[-1] / spacing)
    at = np.append(np.arange(count + 1) * spacing, along[-1])
    if at[-1] - at[-2] <= _FINE * along[-1]:
        at = np.delete(at, -2)
    return np.column_stack([np.interp(at, along, line[:, axis]) for axis in (0, 1)])


def simplify(line: np.ndarray, epsilon: float) -> np.ndarray:
    """The line (n, 2) without the points that are at most `epsilon` from the segments that remain.

    The algorithm of Ramer (1972), Douglas and Peucker (1973). The first and the last point always remain.
    """
    if len(line) < 3 or epsilon <= 0:
        return line.copy()
    remains = np.zeros(len(line), dtype=bool)
    remains[[0, -1]] = True
    spans = [(0, len(line) - 1)]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        distances = _distances(line[first + 1 : last], line[first], line[last])
        farthest = int(distances.argmax())
        if distances[farthest] > epsilon:
            middle = first + 1 + farthest
            remains[middle] = True
            spans += [(first, middle), (middle, last)]
    return line[remains]


def _distances(points: np.ndarray, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The distances (n,) of points from the segment between two points, which may be the same point."""
    along = end - begin
    squared = float(along @ along)
    if squared <= _FINE:
        return np.hypot(*(points - begin).T)
    part = ((points - begin) @ along / squared).clip(0.0, 1.0)
    return np.hypot(*(points - begin - part[:, None] * along).T)
