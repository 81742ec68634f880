"""The network unrolled through time as a picture."""

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch

from recurra.inspection.pictures.style import BLACK, GREY, label_steps, save, step_names
from recurra.inspection.pictures.values import Curve, Picture, Values
from recurra.inspection.unroll import Edges, UnrolledGradients, UnrolledRow

__all__ = ["columns_of", "draw_unrolled"]

_MOST_COLUMNS = 50
_DECADES = 4  # plotted; below it an edge is a thin line
_THICKEST = 6.0
_THICKEST_OF_TWO = 3.8  # directions, side by side
_THINNEST = 0.8
_LONGEST_JOINED = 4  # labels of a column, in characters
_ASIDE = 0.42  # by which rows of the reverse direction are shifted, so that edges do not hide nodes


def columns_of(steps: int) -> int:
    """How many steps a column stands for, so that all fit."""
    return math.ceil(steps / _MOST_COLUMNS)


def draw_unrolled(
    unrolled: UnrolledGradients, path: Path, first_step: int = 0, step: str = "step", labels: Sequence[str] = ()
) -> Picture:
    """Steps as columns, layers as rows, and arrows as thick as the gradient that flows back along them.

    Where there are more than 50 steps a column stands for several: arrows along a row are then the gradient that
    crosses from one column to the next, arrows between rows the norm over all steps of the column.

    Args:
        unrolled: the gradients.
        path: of the PNG.
        first_step: the index of the first step.
        step: what the axis is called.
        labels: what to call the steps, plotted if there is room; if empty, steps have their index.

    Returns:
        The picture, and what it says of each arrow.
    """
    wide = columns_of(unrolled.steps)
    # Rows that come after the others begin with a column of their own.
    later = max(row.first for row in unrolled.rows)
    starts = [*range(0, later, wide), *range(later, unrolled.steps, wide)]
    columns = len(starts)
    rows = len(unrolled.rows)
    inches = min(11.0, max(7.0, 2.2 + 0.33 * columns))  # wider ones are shrunk by the page
    figure = Figure(figsize=(inches, 1.9 + 0.95 * (rows + 1)), layout="constrained")
    ax = figure.subplots()
    picture = _Picture(ax, unrolled, wide, _columns([*starts, unrolled.steps], first_step, labels))
    picture.draw()
    ends = "loss", *reversed([row.name for row in unrolled.rows]), "input"
    ax.set_yticks(range(rows, -2, -1), ends)
    ax.set_ylim(-1.3, rows + 0.35)
    ax.set_xlim(-0.7, columns - 1 + 0.7 + _ASIDE * any(row.reverse for row in unrolled.rows))
    every = max(1, math.ceil(columns / 12))
    ticks = list(range(0, columns, every))
    ax.set_xticks(ticks, [f"{first_step + starts[tick]}" for tick in ticks])
    joined = ["".join(labels[i:j]) for i, j in pairwise([*starts, unrolled.steps])] if labels else []
    named = (wide == 1 or _short(joined)) and label_steps(ax, np.arange(columns), joined, inches - 1.5)
    which = "" if named else ", from the number below it on"
    ax.set_xlabel(step if wide == 1 else f"{step}; a column stands for {wide} steps{which}")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    figure.legend(
        handles=_legend(unrolled),
        loc="outside lower center",
        ncols=_DECADES + 1,
        frameon=False,
        fontsize=8,
        title="norm of the gradient that flows along an arrow, back from the loss",
        title_fontsize=8,
    )
    return save(figure, path, {ax: picture.values()})


def _columns(bounds: Sequence[int], first_step: int, labels: Sequence[str]) -> list[str]:
    """What to call each column: its steps."""
    steps = step_names(first_step + np.arange(bounds[-1]), labels)
    names = []
    for i, j in pairwise(bounds):
        if j - i == 1:
            names.append(steps[i])
        else:
            read = f" ({labels[i]} … {labels[j - 1]})" if labels else ""
            names.append(f"steps {first_step + i}–{first_step + j - 1}{read}")
    return names


def _short(labels: Sequence[str]) -> bool:
    return max(map(len, labels), default=0) <= _LONGEST_JOINED


class _Picture:
    def __init__(self, ax: Axes, unrolled: UnrolledGradients, wide: int, columns: Sequence[str]) -> None:
        self._ax = ax
        self._columns = columns
        self._arrows: list[tuple[str, float, float, float]] = []  # what it says, its middle, its norm
        self._unrolled = unrolled
        self._wide = wide

    def draw(self) -> None:
        for index, row in enumerate(self._unrolled.rows):
            self._draw_row(index, row)
        for edges in self._unrolled.edges:
            self._draw_edges(edges)

    def values(self) -> Values:
        points, x, y, norms = zip(*self._arrows, strict=True) if self._arrows else ((), (), (), ())
        return Values(points, np.array(x), (Curve("norm of the gradient", np.array(norms)),), np.array(y))

    def _draw_row(self, index: int, row: UnrolledRow) -> None:
        wide, aside = self._wide, self._aside(index)
        first, columns = self._first_column(row), math.ceil(len(row.through_time) / wide)
        positions = first + np.arange(columns)
        self._ax.scatter(
            positions + aside, np.full(len(positions), index), s=26, color="white", edgecolor=BLACK, zorder=3
        )
        for column in range(columns - 1):
            boundary = (column + 1) * wide
            # The gradient crosses from the later step into the earlier one; in the reverse direction the other way.
            norm = row.through_time[boundary if row.reverse else boundary - 1]
            left, right = (first + column + aside, index), (first + column + 1 + aside, index)
            earlier, later = self._columns[first + column : first + column + 2]
            source, target = (earlier, later) if row.reverse else (later, earlier)
            start, end = (left, right) if row.reverse else (right, left)
            self._arrow(start, end, float(norm), f"{row.name}: from {source} to {target}")
        for start in filter(None, (first + start / wide for start in row.starts)):
            boundary = start - 0.5
            self._ax.plot(
                [boundary, boundary], [-1.1, len(self._unrolled.rows)], color=GREY, linewidth=1, linestyle="--"
            )
        if len(row.starts) > 1 and index == len(self._unrolled.rows) - 1:
            for start, module in zip(row.starts, row.modules, strict=True):
                name = module.rpartition(".")[2]
                self._ax.text(start / wide - 0.4, len(self._unrolled.rows) + 0.2, name, fontsize=8, color="#555555")

    def _draw_edges(self, edges: Edges) -> None:
        top = len(self._unrolled.rows)
        first = self._first_column(self._unrolled.rows[edges.row])
        for column in range(math.ceil(len(edges.norms) / self._wide)):
            here = edges.norms[column * self._wide : (column + 1) * self._wide]
            norm = float(np.sqrt((here**2).sum()))
            if edges.upper is None and norm == 0:
                continue
            upper, lower = edges.upper, edges.lower
            above = first + column + self._aside(lower if upper is None else upper)
            below = first + column + self._aside(upper if lower is None else lower)
            source = "above" if upper is None else self._unrolled.rows[upper].name
            target = "the input" if lower is None else self._unrolled.rows[lower].name
            self._arrow(
                (above, top if upper is None else upper),
                (below, -1 if lower is None else lower),
                norm,
                f"from {source} to {target}, {self._columns[first + column]}",
            )

    def _first_column(self, row: UnrolledRow) -> int:
        return math.ceil(row.first / self._wide)

    def _aside(self, index: int | None) -> float:
        return _ASIDE if index is not None and self._unrolled.rows[index].reverse else 0.0

    def _arrow(self, start: tuple[float, float], end: tuple[float, float], norm: float, name: str) -> None:
        self._arrows.append((name, (start[0] + end[0]) / 2, (start[1] + end[1]) / 2, norm))
        width, colour = _look(norm, self._unrolled)
        if width < _THINNEST:
            self._ax.plot(*zip(start, end, strict=True), color=colour, linewidth=_THINNEST, zorder=1)
            return
        arrow = FancyArrowPatch(
            start,
            end,
            arrowstyle="-|>",
            mutation_scale=4 + 1.6 * width,
            shrinkA=3.2,
            shrinkB=3.2,
            linewidth=width,
            color=colour,
            joinstyle="miter",
            capstyle="butt",
            zorder=2,
        )
        arrow.set_in_layout(False)  # all lie within the axes, and measuring hundreds of them takes long
        self._ax.add_patch(arrow)


def _look(norm: float, unrolled: UnrolledGradients) -> tuple[float, str]:
    """Width and colour, by the logarithm of the fraction of the largest."""
    largest = unrolled.largest
    thickest = _THICKEST_OF_TWO if any(row.reverse for row in unrolled.rows) else _THICKEST
    fraction = norm / largest if largest > 0 else 0.0
    strength = 1 + math.log10(fraction) / _DECADES if fraction > 0 else 0.0
    strength = max(0.0, strength)
    # None so pale that it is lost on the page, which in its dark mode shows white as black.
    return thickest * strength, to_hex(colormaps["YlGnBu"](0.45 + 0.5 * strength)) if strength else "#a0a0a0"


def _legend(unrolled: UnrolledGradients) -> list[Line2D]:
    handles = []
    for decade in range(_DECADES + 1):
        norm = unrolled.largest * 10.0**-decade
        width, colour = _look(norm, unrolled)
        below = decade == _DECADES
        label = f"{norm:.2g}" if not below else f"below {norm:.2g}"
        handles.append(Line2D([], [], color=colour, linewidth=max(width, _THINNEST), label=label))
    return handles
