"""Curves of learning as a picture: a panel for each setting, a colour for each cell, a line for each seed."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from benchmarks._learning import Outcome
from recurra.files import write_atomically

COLOURS = {
    "Clockwork": "#5b8c5a",
    "Elman": "#1f5fa8",
    "Elman, orthogonal": "#e08e2b",
    "IndRNN": "#5b8c5a",
    "minGRU": "#2a9d9d",
    "LSTM": "#c44536",
    "GRU": "#7a5ba6",
    "BRC": "#e08e2b",
    "nBRC": "#1f5fa8",
    "coRNN": "#2a9d9d",
    "LEM": "#1f5fa8",
    "JANET": "#e08e2b",
    "UGRNN": "#5b8c5a",
    "STAR": "#1f5fa8",
}
INK, GREY = "#222222", "#8a8a8a"


def draw_curves(
    outcomes: Sequence[Outcome],
    path: Path,
    measure: str,
    lines: Mapping[str, Mapping[str, float]],
    highest: float,
    logarithmic: bool = True,
) -> None:
    """Write the picture as a PNG.

    Args:
        outcomes: whose validation curves are drawn.
        path: of the picture.
        measure: what the curves show.
        lines: values to compare with, by name, for each setting.
        highest: value shown; curves begin above it.
        logarithmic: the axis of the measure.
    """
    settings = list(dict.fromkeys(outcome.setting for outcome in outcomes))
    trained = {outcome.cell for outcome in outcomes}
    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.08)
    picture = Figure(figsize=(max(5.2 * len(settings), 7.2), 3.9), layout=layout)
    for place, setting in enumerate(settings, 1):
        ax = picture.add_subplot(1, len(settings), place)
        shown = [outcome for outcome in outcomes if outcome.setting == setting]
        compared = lines.get(setting, {})
        for outcome in shown:
            ax.plot(*zip(*outcome.fitted.curve, strict=True), color=COLOURS[outcome.cell], linewidth=1.2, alpha=0.85)
        for name, value in compared.items():
            ax.axhline(value, color=GREY, linewidth=0.9, linestyle="--", zorder=0)
            beside = ax.get_yaxis_transform()
            ax.text(1.01, value, name, transform=beside, va="center", fontsize=8, color=GREY)
        lowest = min([*compared.values(), *(value for outcome in shown for _, value in outcome.fitted.curve)])
        if logarithmic:
            ax.set_yscale("log")
            ax.set_ylim(lowest * 0.6, highest)
        else:
            ax.set_ylim(lowest - 0.08 * (highest - lowest), highest)
        ax.set_title(setting, loc="left", fontsize=11, fontweight="bold", color=INK)
        ax.set_xlabel("training step", fontsize=9, color=INK)
        if place == 1:
            ax.set_ylabel(measure, fontsize=9, color=INK)
        ax.tick_params(labelsize=8, colors=GREY)
        ax.grid(color="#ececec", linewidth=0.6)
        ax.spines[["top", "right"]].set_visible(False)
        ax.spines[["bottom", "left"]].set_color(GREY)
    cells = [cell for cell in COLOURS if cell in trained]
    handles = [Line2D([], [], color=COLOURS[cell], linewidth=2, label=cell) for cell in cells]
    picture.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=9)
    write_atomically(path, lambda aside: picture.savefig(aside, format="png", dpi=110))
