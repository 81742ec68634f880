"""What all pictures have in common: panels, axes, labels and files."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ticker import MaxNLocator

from recurra.figures import write_figure
from recurra.inspection.pictures.values import Picture, Values, locate
from recurra.inspection.texts import LABELLED_STEP

__all__ = [
    "BLACK",
    "BLUE",
    "COLOURS",
    "GREY",
    "RED",
    "finish",
    "label_steps",
    "legend_below",
    "no_panel_at",
    "panels",
    "save",
    "step_names",
    "tick_whole_numbers",
]

# Okabe and Ito's colours, which colour-blind people tell apart, the lightest left out.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#666666")
_LONGEST_LABEL = 16  # characters
_SMALLEST_LABEL = 5.5  # points
BLUE, RED, GREY, BLACK = "#1f5fa8", "#c44536", "#8a8a8a", "#222222"


def panels(count: int, across: int = 2, width: float = 10.0, height: float = 3.2) -> tuple[Figure, list[Axes]]:
    """A figure of so many panels, in rows."""
    across = min(across, count)
    down = -(-count // across)
    figure = Figure(figsize=(width, 0.3 + height * down), layout="constrained")
    axes = list(figure.subplots(down, across, squeeze=False).flat)
    for spare in axes[count:]:
        spare.set_visible(False)
    return figure, axes[:count]


def finish(ax: Axes, title: str, x: str, y: str) -> None:
    """Title, labels, and no frame where nothing is read off."""
    # A dollar sign, of a name in the data, would begin a formula.
    ax.set_title(title, loc="left", fontsize=10, parse_math=False)
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.spines[["top", "right"]].set_visible(False)


def tick_whole_numbers(ax: Axes) -> None:
    """No ticks between the steps of the x axis."""
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def label_steps(ax: Axes, positions: np.ndarray, labels: Sequence[str], inches: float) -> bool:
    """Call each step by its own label, where there is room for all and the font has their characters.

    Args:
        ax: whose x axis is labelled.
        positions: of the steps on the axis.
        labels: one a step; if empty, the axis stays as it is.
        inches: how wide the axis is.

    Returns:
        Whether it was done.
    """
    if not labels or not drawable(labels):
        return False
    shown = [label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 1]}…" for label in labels]
    room = 72 * inches / len(shown)
    size = min(9.0, 0.9 * room)
    if size < _SMALLEST_LABEL:
        return False
    upright = max(map(len, shown)) * 0.65 * size <= room
    # A dollar sign would begin a formula.
    ax.set_xticks(positions, shown, fontsize=size, rotation=0 if upright else 90, parse_math=False)
    ax.tick_params(axis="x", length=0)
    return True


def drawable(labels: Sequence[str]) -> bool:
    """Whether the font has all characters of these."""
    known = get_font(findfont(FontProperties())).get_charmap()
    return all(ord(character) in known for label in labels for character in label)


def no_panel_at(values: Sequence[float] | np.ndarray) -> bool:
    """Whether there is nothing positive to draw on a logarithmic scale."""
    numbers = np.asarray(values, dtype=float)
    return not bool((np.isfinite(numbers) & (numbers > 0)).any())


def legend_below(ax: Axes, columns: int) -> None:
    """A legend under the label of the x axis, where no curve runs."""
    ax.legend(loc="upper left", bbox_to_anchor=(0, -0.17), borderaxespad=0, ncols=columns, frameon=False, fontsize=8)


def step_names(steps: np.ndarray, labels: Sequence[str] = ()) -> list[str]:
    """What to call steps where a reader points at them, by their own labels if they have some."""
    if len(labels):
        return [f"step {LABELLED_STEP.format(index=t, label=label)}" for t, label in zip(steps, labels, strict=True)]
    return [f"step {t}" for t in steps]


def save(figure: Figure, path: Path, values: Mapping[Axes, Values]) -> Picture:
    """Write a PNG, whole or not at all.

    Args:
        figure: the picture.
        path: of the PNG.
        values: what its panels say where a reader points.

    Returns:
        The file, and where on the picture it says what.

    Raises:
        RunError: if the folder cannot be written.
    """
    write_figure(figure, path)
    return Picture(path, locate(values))
