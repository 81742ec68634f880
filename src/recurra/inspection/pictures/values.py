"""The values that a picture says where a reader points, from the arrays that it is drawn from."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

__all__ = ["Curve", "Picture", "Values", "placed"]

_MOST_PLACES = 2000  # a picture; a page has about 1,000 pixels across


@dataclass(frozen=True)
class Curve:
    """A value at each place of a panel.

    Attributes:
        name: with the unit, if it has one.
        values: (N,), or fewer where it ends before the others; nan where there is none.
        colour: that it is drawn in; empty if it is not drawn at its values.
    """

    name: str
    values: np.ndarray
    colour: str = ""


@dataclass(frozen=True)
class Values:
    """What a panel says, place by place.

    Attributes:
        places: (N,), what to call them.
        x: (N,), where they are on the axis.
        curves: what is said of each.
        y: (N,), likewise; None for places that are found by x alone.
        heading: what the names of all places begin with.
    """

    places: Sequence[str]
    x: np.ndarray
    curves: Sequence[Curve]
    y: np.ndarray | None = None
    heading: str = ""


@dataclass(frozen=True)
class Picture:
    """A picture as a file, and what its panels say.

    Attributes:
        path: of the PNG.
        panels: JSON values, a dictionary a panel. `box` holds its left, top, right and bottom as fractions of the
            picture. The others are those of `Values`, `x` and `y` as fractions of the picture
            too. A curve also has its `heights`, null where nothing is drawn.
    """

    path: Path
    panels: tuple[dict[str, Any], ...]


def placed(values: Mapping[Axes, Values]) -> tuple[dict[str, Any], ...]:
    """The panels of a picture that has been drawn, with at most 2,000 places in all, evenly spaced."""
    share = min(1.0, _MOST_PLACES / max(1, sum(len(said.places) for said in values.values())))
    return tuple(_panel(ax, said, share) for ax, said in values.items())


def _panel(ax: Axes, said: Values, share: float) -> dict[str, Any]:
    """A panel with a share of its places."""
    count = len(said.places)
    kept = np.linspace(0, count - 1, int(share * count)).round().astype(int)
    box = ax.get_position()
    x = np.asarray(said.x, dtype=float)[kept]
    panel: dict[str, Any] = {
        "box": [_fraction(box.x0), _fraction(1 - box.y1), _fraction(box.x1), _fraction(1 - box.y0)],
        "heading": said.heading,
        "places": [said.places[place] for place in kept],
        "x": [_fraction(across) for across, _ in _fractions(ax, x, np.full(len(x), ax.get_ylim()[0]))],
        "curves": [],
    }
    if said.y is not None:
        y = np.asarray(said.y, dtype=float)[kept]
        panel["y"] = [_fraction(1 - up) for _, up in _fractions(ax, x, y)]
    for curve in said.curves:
        numbers = np.full(count, np.nan)
        numbers[: len(curve.values)] = curve.values
        numbers = numbers[kept]
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
    """(N, 2), points of the axes as fractions of the picture from its lower left; nan where there are none."""
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
