"""What the pictures share."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from recurra.files import prepare_folder, write_atomically

__all__ = ["BLACK", "BLUE", "COLOURS", "GREY", "RED", "finish", "no_panel_at", "panels", "save"]

# Okabe and Ito's colours, which colour-blind people tell apart, the lightest left out.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#666666")
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
    ax.set_title(title, loc="left", fontsize=10)
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.spines[["top", "right"]].set_visible(False)


def no_panel_at(values: Sequence[float] | np.ndarray) -> bool:
    """Whether there is nothing positive to draw on a logarithmic scale."""
    numbers = np.asarray(values, dtype=float)
    return not bool((np.isfinite(numbers) & (numbers > 0)).any())


def save(figure: Figure, path: Path) -> None:
    """Write a PNG, whole or not at all.

    Raises:
        RunError: where the folder cannot be written.
    """
    prepare_folder(path.parent)
    write_atomically(path, lambda aside: figure.savefig(aside, format="png", dpi=120))
