"""Pictures: the training curve, and attention."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from recurra.files import prepare_folder, write_atomically

__all__ = ["draw_attention"]


def draw_attention(attentions: Sequence[tuple[list[str], list[str], np.ndarray]], path: Path) -> None:
    """Draw which source subwords each target subword attended to, a panel a sentence, into a PNG file.

    Args:
        attentions: of each sentence the source's subwords (S), the target's (T) and the weights (T, S).
        path: of the file.
    """
    widths = [1.2 + 0.28 * len(source) for source, _, _ in attentions]
    heights = [1.2 + 0.24 * len(target) for _, target, _ in attentions]
    figure = Figure(figsize=(max(widths), sum(heights)), layout="constrained")
    panels = figure.subplots(len(attentions), 1, squeeze=False, height_ratios=heights)[:, 0]
    for ax, (source, target, weights) in zip(panels, attentions, strict=True):
        ax.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        # A dollar sign would begin a formula.
        ax.set_xticks(range(len(source)), [piece.replace("$", r"\$") for piece in source], rotation=60, ha="left")
        ax.set_yticks(range(len(target)), [piece.replace("$", r"\$") for piece in target])
        ax.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0, labelsize=8)
        ax.spines[:].set_visible(False)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    prepare_folder(path.parent)
    write_atomically(path, lambda aside: figure.savefig(aside, format="png", dpi=120))
