"""A picture of a piece as a piano roll."""

from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MultipleLocator

from recurra.data.music.piece import Piece
from recurra.data.music.pitches import pitch_name
from recurra.files import prepare_folder, write_atomically

__all__ = ["plot_roll"]

_BLUE, _GREY, _STRIPE = "#1f5fa8", "#8a8a8a", "#f2f4f7"
_BLACK_KEYS = (1, 3, 6, 8, 10)
_BARS_PER_INCH = 1.5


def plot_roll(piece: Piece, original: np.ndarray, title: str, path: Path) -> None:
    """Plot the notes of a piece over its bars.

    Args:
        piece: what is plotted.
        original: which of its notes were there before, bool (K,): they are grey.
        title: of the picture.
        path: of the PNG file.

    Raises:
        RunError: the file cannot be written.
    """
    bar = piece.grid.steps_per_bar
    bars = max(piece.length / bar, 1)
    low, high = (int(piece.notes[:, 2].min()) - 2, int(piece.notes[:, 2].max()) + 2) if len(piece.notes) else (58, 74)
    figure = Figure(figsize=(min(max(bars / _BARS_PER_INCH, 5), 20), min(max((high - low) / 9, 2.4), 7)))
    figure.set_layout_engine("constrained")
    ax = figure.subplots()
    for pitch in range(low, high + 1):
        if pitch % 12 in _BLACK_KEYS:
            ax.axhspan(pitch - 0.5, pitch + 0.5, color=_STRIPE, linewidth=0)
    for chosen, color, label in ((~original, _BLUE, "generated"), (original, _GREY, "original")):
        if chosen.any():
            boxes = [
                Rectangle((start / bar, pitch - 0.42), (end - start) / bar, 0.84)
                for start, end, pitch in piece.notes[chosen].tolist()
            ]
            ax.add_collection(PatchCollection(boxes, facecolor=color, edgecolor="white", linewidth=0.6, label=label))
    ax.set(xlim=(0, bars), ylim=(low - 0.5, high + 0.5), xlabel="bar", title=title)
    ax.xaxis.set_major_locator(MultipleLocator(max(1, round(bars / 16))))
    ax.grid(axis="x", color="#d8dbe0", linewidth=0.8)
    ax.set_axisbelow(True)
    octaves = [pitch for pitch in range(low, high + 1) if pitch % 12 == 0]
    ax.set_yticks(octaves, [pitch_name(pitch) for pitch in octaves])
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    if original.any() and not original.all():
        boxes = [Rectangle((0, 0), 1, 1, color=color) for color in (_GREY, _BLUE)]
        ax.legend(boxes, ["original", "generated"], loc="upper right", ncols=2, frameon=False, bbox_to_anchor=(1, 1.14))
    prepare_folder(path.parent)
    write_atomically(path, partial(figure.savefig, dpi=120, format="png"))
