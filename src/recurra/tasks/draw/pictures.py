"""Drawings as pictures: grids in SVG, which may draw themselves, and in PNG; and the window over what is written."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from recurra.data.drawings.strokes import lines_of
from recurra.figures import write_figure
from recurra.files import write_text

__all__ = ["Grid", "draw_windows", "write_png", "write_svg"]

_INK, _START = "#1b1b1f", "#1f5fa8"
_MARGIN = 0.12  # of the longer side of a cell, on each side; of a flat one less
_FLATTEST = 8.0  # the longer side of a cell without margins, divided by the shorter
_INCHES = 1.6
_PAUSE = 0.15  # of the time of a line, before the next
_MOST_PIXELS = 320  # of a cell


@dataclass(frozen=True)
class Grid:
    """Drawings to be laid out in rows.

    Attributes:
        strokes: of each drawing (N, 3).
        begun: how many points of each are those of the start, which are coloured; 0: none.
        columns: of the grid; 0: such that the grid is about a square.
    """

    strokes: Sequence[np.ndarray]
    begun: int = 0
    columns: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        count = max(len(self.strokes), 1)
        width, height = self.cell
        columns = self.columns or min(count, math.ceil(math.sqrt(count * height / width)))
        return math.ceil(count / columns), columns

    @property
    def cell(self) -> tuple[float, float]:
        """Width and height of a cell, in the units of the drawings: all have the same scale."""
        extents = [np.ptp(np.concatenate(lines_of(one)), axis=0) for one in self.strokes]
        sides = np.max(extents, axis=0) if extents else np.zeros(2)
        longer = float(sides.max()) or 1.0
        sides = np.maximum(sides, longer / _FLATTEST)
        width, height = (sides + 2 * _MARGIN * min(longer, 2 * float(sides.min()))).tolist()
        return width, height

    @property
    def line_width(self) -> float:
        """Of the lines, in the units of the drawings."""
        return math.sqrt(math.prod(self.cell)) / 110

    def cells(self) -> list[list[tuple[np.ndarray, str]]]:
        """Of each drawing the lines (n, 2), placed in the grid, with their colours."""
        cell, columns, placed = np.array(self.cell), self.shape[1], []
        for position, one in enumerate(self.strokes):
            points = np.concatenate(lines_of(one))
            centre = (points.min(axis=0) + points.max(axis=0)) / 2
            middle = cell * [position % columns + 0.5, position // columns + 0.5]
            placed.append([(line + middle - centre, colour) for line, colour in _coloured(one, self.begun)])
        return placed


def write_svg(path: Path, grid: Grid, seconds: float = 0.0) -> None:
    """Write a grid as SVG, in the units of the drawings.

    Args:
        path: of the file.
        grid: the drawings.
        seconds: that the longest drawing takes to draw itself; 0: it does not. Viewers without animation show it whole.

    Raises:
        RunError: the file cannot be written.
    """
    rows, columns = grid.shape
    cell_width, cell_height = grid.cell
    width, height = cell_width * columns, cell_height * rows
    scale = _MOST_PIXELS / math.sqrt(cell_width * cell_height)
    cells = grid.cells()
    longest = max((sum(map(_length, cell)) for cell in cells), default=0.0)
    body = []
    for cell in cells:
        at = 0.0
        for line, colour in cell:
            duration = seconds * _length((line, colour)) / longest if longest else 0.0
            body.append(_path(line, colour, at, duration * (1 - _PAUSE)) if seconds else _path(line, colour))
            at += duration
        body.append("")
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width * scale:.0f}" height="{height * scale:.0f}" '
        f'viewBox="0 0 {width:.6g} {height:.6g}">\n'
        f'<g fill="none" stroke-width="{grid.line_width:.4g}" stroke-linecap="round" stroke-linejoin="round">\n'
        + "\n".join(body)
        + "</g>\n</svg>\n"
    )
    write_text(path, text)


def write_png(path: Path, grid: Grid) -> None:
    """Draw a grid into a PNG file. Raises RunError: the file cannot be written."""
    rows, columns = grid.shape
    width, height = grid.cell
    scale = _INCHES / math.sqrt(width * height)
    figure = Figure(figsize=(scale * width * columns, scale * height * rows))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(0, width * columns), ylim=(height * rows, 0), aspect="equal")
    lines = [pair for cell in grid.cells() for pair in cell]
    axes.add_collection(
        LineCollection(
            # A dot is a line of no length, which a round end makes visible.
            [np.repeat(line, 2, axis=0) if len(line) == 1 else line for line, _ in lines],
            colors=[colour for _, colour in lines],
            linewidths=1.1,
            capstyle="round",
            joinstyle="round",
        )
    )
    write_figure(figure, path, dpi=150)


def draw_windows(read: Sequence[tuple[np.ndarray, str, np.ndarray]], path: Path) -> None:
    """Draw what the window read at each point of some handwriting, and the handwriting above it, into a PNG file.

    Args:
        read: of each the strokes (N, 3), the text, and the windows (N, U + 1) with which its points were expected.
        path: of the file.
    """
    figure = Figure(figsize=(8.0, 3.6 * len(read)), layout="constrained")
    panels = figure.subplots(2 * len(read), 1, squeeze=False, height_ratios=[1.0, 1.6] * len(read))[:, 0]
    for (strokes, text, windows), above, below in zip(read, panels[::2], panels[1::2], strict=True):
        colours = colormaps["turbo"](np.linspace(0.05, 0.95, len(text) + 1))
        points = np.concatenate([np.zeros((1, 2)), np.cumsum(strokes[:, :2], axis=0)])
        lifted = np.insert(strokes[:-1, 2], 0, 0) > 0
        heaviest = windows.argmax(axis=1)
        above.add_collection(
            LineCollection(
                [points[k : k + 2] for k in range(len(strokes)) if not lifted[k]],
                colors=[colours[at] for at, after_lift in zip(heaviest, lifted, strict=True) if not after_lift],
                linewidths=1.4,
                capstyle="round",
            )
        )
        above.set(aspect="equal", ylim=(points[:, 1].max() + 2, points[:, 1].min() - 2))
        above.set_xlim(points[:, 0].min() - 2, points[:, 0].max() + 2)
        above.set_axis_off()
        image = below.imshow(windows.T, cmap="Blues", vmin=0, aspect="auto", interpolation="nearest")
        # A dollar sign would begin a formula.
        names = [{" ": "space"}.get(character, character).replace("$", r"\$") for character in text]
        below.set_yticks(range(len(text) + 1), [*names, "end"])
        for label, colour in zip(below.get_yticklabels(), colours, strict=True):
            label.set_color(colour)
        below.set(xlabel="point", ylabel="character")
        below.tick_params(length=0, labelsize=8)
        below.spines[:].set_visible(False)
        figure.colorbar(image, ax=below, label="window", pad=0.01)
    write_figure(figure, path)


def _coloured(strokes: np.ndarray, begun: int) -> list[tuple[np.ndarray, str]]:
    """The lines of a drawing, those of the start in another colour; a line may be of both."""
    if not begun:
        return [(line, _INK) for line in lines_of(strokes)]
    lines, seen = [], 0
    for line in lines_of(strokes):
        # The origin is a point too.
        left = begun + 1 - seen
        seen += len(line)
        if left > 0:
            lines.append((line[:left], _START))
        if left < len(line):
            lines.append((line[max(left - 1, 0) :], _INK))
    return lines


def _length(pair: tuple[np.ndarray, str]) -> float:
    """How long a line takes: its length, and a little for each point, so that a dot takes time too."""
    line = pair[0]
    return float(np.hypot(*np.diff(line, axis=0).T).sum()) + 1.0 * len(line)


def _path(line: np.ndarray, colour: str, at: float | None = None, duration: float = 0.0) -> str:
    """A line as a path; with `at`, one that is hidden until then and draws itself in `duration` seconds."""
    points = " ".join(f"{x:.6g},{y:.6g}" for x, y in line.tolist())
    data = f"M{points} h0" if len(line) == 1 else f"M{points}"
    if at is None:
        return f'<path stroke="{colour}" d="{data}"/>'
    begin, lasts = f"{at:.3f}s", f"{max(duration, 0.01):.3f}s"
    return (
        f'<path stroke="{colour}" pathLength="1" stroke-dasharray="1" d="{data}">'
        f'<set attributeName="visibility" to="hidden" begin="0s" end="{begin}"/>'
        f'<animate attributeName="stroke-dashoffset" from="1" to="0" begin="{begin}" dur="{lasts}"/></path>'
    )
