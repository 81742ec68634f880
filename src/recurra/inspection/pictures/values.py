"""The values that a picture shows at the pointer, from the arrays that it plots."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

__all__ = ["Curve", "Picture", "Values", "locate"]

_MOST_POINTS = 2000  # a picture; a page has about 1,000 pixels across


@dataclass(frozen=True)
class Curve:
    """A value at each point of a panel.

    Attributes:
        name: with the unit, if it has one.
        values: (N,), or fewer if it ends before the others; NaN: there is no value.
        colour: of the plot; empty if it is not drawn at its values.
    """

    name: str
    values: np.ndarray
    colour: str = ""


@dataclass(frozen=True)
class Values:
    """What a panel shows, point by point.

    Attributes:
        points: (N,), what to call them.
        x: (N,), where they are on the axis.
        curves: the values of each.
        y: (N,), likewise; None if a point is the nearest by x alone.
        heading: the beginning of the names of all points.
    """

    points: Sequence[str]
    x: np.ndarray
    curves: Sequence[Curve]
    y: np.ndarray | None = None
    heading: str = ""


@dataclass(frozen=True)
class Picture:
    """A picture as a file, and the values of its panels.

    Attributes:
        path: of the PNG.
        panels: JSON values, a dictionary a panel. `box` holds its left, top, right and bottom as fractions of the
            picture. The others are those of `Values`, `x` and `y` as fractions of the picture
            too. A curve also has its `heights`; null: nothing is plotted there.
    """

    path: Path
    panels: tuple[dict[str, Any], ...]


def locate(values: Mapping[Axes, Values]) -> tuple[dict[str, Any], ...]:
    """The panels of a finished picture, with at most 2,000 points in all, evenly spaced."""
    fraction = min(1.0, _MOST_POINTS / max(1, sum(len(panel_values.points) for panel_values in values.values())))
    return tuple(_panel(ax, panel_values, fraction) for ax, panel_values in values.items())


def _panel(ax: Axes, panel_values: Values, fraction: float) -> dict[str, Any]:
    """A panel with a fraction of its points."""
    count = len(panel_values.points)
    selected = np.linspace(0, count - 1, int(fraction * count)).round().astype(int)
    box = ax.get_position()
    x = np.asarray(panel_values.x, dtype=float)[selected]
    panel: dict[str, Any] = {
        "box": [_fraction(box.x0), _fraction(1 - box.y1), _fraction(box.x1), _fraction(1 - box.y0)],
        "heading": panel_values.heading,
        "points": [panel_values.points[index] for index in selected],
        "x": [_fraction(across) for across, _ in _fractions(ax, x, np.full(len(x), ax.get_ylim()[0]))],
        "curves": [],
    }
    if panel_values.y is not None:
        y = np.asarray(panel_values.y, dtype=float)[selected]
        panel["y"] = [_fraction(1 - up) for _, up in _fractions(ax, x, y)]
    for curve in panel_values.curves:
        numbers = np.full(count, np.nan)
        numbers[: len(curve.values)] = curve.values
        numbers = numbers[selected]
        entry: dict[str, Any] = {"name": curve.name, "values": [_number(number) for number in numbers]}
        if curve.colour:
            heights = [1 - up for _, up in _fractions(ax, x, numbers)]
            inside = [1 - box.y1 <= height <= 1 - box.y0 for height in heights]
            entry["colour"] = curve.colour
            entry["heights"] = [
                _fraction(height) if shown else None for height, shown in zip(heights, inside, strict=True)
            ]
        panel["curves"].append(entry)
    return panel


def _fractions(ax: Axes, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(N, 2), points of the axes as fractions of the picture from its lower left; NaN: there is none."""
    if ax.get_yscale() == "log":
        y = np.where(y > 0, y, np.nan)
    return ax.figure.transFigure.inverted().transform(ax.transData.transform(np.column_stack([x, y])))


def _fraction(value: float) -> float:
    return round(float(value), 4)


def _number(value: float) -> float | str | None:
    """Four digits; JSON has neither nan nor infinity."""
    if math.isnan(value):
        return None
    return float(f"{value:.4g}") if math.isfinite(value) else "∞" if value > 0 else "-∞"
