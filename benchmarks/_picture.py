"""The figures of a run as one picture: bars of ratios on logarithmic axes, with the targets."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, NullFormatter

from benchmarks._report import FASTER, SHARE, SMALLER, Figure
from recurra.files import write_atomically

HEADINGS = {
    "recurrent_layers": "against torch.nn, geometric mean over six sizes",
    "custom_cells": "against a loop of torch operations",
    "single_step": "one step, B = 1, against torch.nn",
    "affine_bandwidth": "of a copy, affine recurrences",
    "memory_for_backward": "kept for the backward pass",
}
SHARE_HEADINGS = HEADINGS | {"recurrent_layers": "of a large matrix product, at (64,128,512,512)"}
COLOURS = {"inference": "#1f5fa8", "training": "#e08e2b", "kept": "#5b8c5a", "recomputed": "#a9c9a4"}
INK, GREY, RED = "#222222", "#8a8a8a", "#c44536"


def draw(figures: Sequence[Figure], machine: Mapping[str, object], path: Path) -> None:
    """Write the picture as a PNG."""
    chosen = {quantity: [f for f in figures if f.quantity == quantity] for quantity in (FASTER, SHARE, SMALLER)}
    layout = ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.1)
    picture = Picture(figsize=(13, 0.22 * _rows(chosen[FASTER]) + 1.8), layout=layout)
    axes = picture.subplot_mosaic(
        [[FASTER, SHARE], [FASTER, SMALLER]],
        width_ratios=[1.25, 1],
        height_ratios=[_rows(chosen[SHARE]), _rows(chosen[SMALLER])],
    )
    _bars(axes[FASTER], chosen[FASTER], FASTER, HEADINGS, start=1, logarithmic=True)
    _bars(axes[SHARE], chosen[SHARE], SHARE, SHARE_HEADINGS, start=0, logarithmic=False)
    _bars(axes[SMALLER], chosen[SMALLER], SMALLER, HEADINGS, start=1, logarithmic=True)
    picture.suptitle(
        f"recurra {machine['recurra']} on {machine['processor']}, {machine['threads']} threads, "
        f"torch {machine['torch']}, {str(machine['date'])[:10]}",
        fontsize=11,
        color=INK,
    )
    handles: list[Artist] = [Patch(color=colour, label=kind) for kind, colour in COLOURS.items()]
    handles.append(Line2D([], [], color=INK, marker="|", markersize=11, markeredgewidth=2, linewidth=0, label="target"))
    handles.append(Line2D([], [], color=RED, marker="$1.0$", markersize=15, linewidth=0, label="target missed"))
    picture.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=9)
    write_atomically(path, lambda aside: picture.savefig(aside, format="png", dpi=130))


def _rows(figures: Sequence[Figure]) -> int:
    """Height of a panel: a line for each bar and name, two for each heading."""
    return len(figures) + len({f.name for f in figures}) + 2 * len({f.benchmark for f in figures})


def _bars(
    ax: Axes, figures: Sequence[Figure], title: str, headings: Mapping[str, str], start: float, logarithmic: bool
) -> None:
    """Horizontal bars from `start`, grouped by name under a heading for each benchmark; the values to the right."""
    beside = ax.get_yaxis_transform()
    y = 0.0
    benchmark = name = ""
    for figure in figures:
        if figure.benchmark != benchmark:
            benchmark, name = figure.benchmark, ""
            y += 1.7 if y else 0.9
            ax.text(0, y, headings[benchmark], transform=beside, va="center", fontsize=9, color=GREY)
            y -= 0.3
        if figure.name != name:
            name = figure.name
            y += 0.7
            count = sum((f.benchmark, f.name) == (benchmark, name) for f in figures)
            middle = y + (count + 1) / 2
            ax.text(-0.015, middle, name, transform=beside, va="center", ha="right", fontsize=9, color=INK)
        y += 1
        ax.barh(y, figure.value - start, left=start, height=0.86, color=COLOURS[figure.kind])
        missed = figure.target is not None and figure.value < figure.target
        colour = RED if missed else INK
        ax.text(1.01, y, f"{figure.value:.2f}", transform=beside, va="center", fontsize=8, color=colour)
        if figure.target is not None:
            ax.plot([figure.target] * 2, [y - 0.5, y + 0.5], color=INK, linewidth=2, solid_capstyle="butt")
    ax.set_ylim(y + 1, 0)
    ax.set_yticks([])
    ax.axvline(1, color=GREY, linewidth=0.8, zorder=0)
    if logarithmic:
        _logarithmic(ax, figures)
    else:
        ax.set_xlim(left=0)
    ax.set_title(title, loc="left", fontsize=11, fontweight="bold", color=INK)
    ax.tick_params(axis="x", labelsize=8, colors=GREY)
    ax.grid(axis="x", color="#e6e6e6", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.spines["bottom"].set_color(GREY)


def _logarithmic(ax: Axes, figures: Sequence[Figure]) -> None:
    ax.set_xscale("log")
    numbers = [1.0, *(f.value for f in figures), *(f.target for f in figures if f.target is not None)]
    low, high = min(numbers) / 1.15, max(numbers) * 1.15
    ax.set_xlim(low, high)
    steps = [m * 10.0**power for power in range(-3, 5) for m in (1, 2, 5)]
    ax.set_xticks([step for step in steps if low <= step <= high])
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.minorticks_off()
