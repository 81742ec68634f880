"""Pictures of an evaluation: confusion, reliability, early decision."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from recurra.figures import write_figure
from recurra.inspection.pictures.style import drawable
from recurra.task.reliability import Reliability
from recurra.text_table import one_line
from recurra.training.label_scores import LabelScores

__all__ = ["draw_confusion", "draw_early_decision", "draw_reliability", "shown_names"]

_BLUE, _GREY = "#1f5fa8", "#8a8f98"
_MOST_PLOTTED = 60
_MOST_COUNTED = 12  # labels, up to which a cell also has its count
_LONGEST_NAME = 24


def draw_confusion(labels: tuple[str, ...], confusion: np.ndarray, path: Path, noun: str = "label") -> None:
    """Draw which labels are confused with which, in fractions of the true label's items, into a PNG file.

    Args:
        labels: K; beyond 60 the most frequent are plotted. Labels that the font lacks are shown by their index, from 1.
        confusion: (K, K), true label by predicted label.
        path: of the file.
        noun: what a label is.
    """
    plotted = np.sort(np.argsort(-confusion.sum(1), kind="stable")[:_MOST_PLOTTED])
    shown = confusion[np.ix_(plotted, plotted)]
    names = shown_names([labels[k] for k in plotted], [f"{noun} {k + 1}" for k in plotted])
    totals = confusion[plotted].sum(1, keepdims=True)
    fractions = shown / np.maximum(totals, 1)
    size = 2.4 + (0.6 if len(plotted) <= _MOST_COUNTED else 0.42) * len(plotted)
    figure = Figure(figsize=(size + 1.1, size), layout="constrained")
    ax = figure.subplots()
    image = ax.imshow(fractions, cmap="Blues", vmin=0, vmax=1)
    if len(plotted) <= 25:
        for row, column in zip(*np.nonzero(shown), strict=True):
            color = "white" if fractions[row, column] > 0.6 else "black"
            percent = f"{100 * fractions[row, column]:.0f} %"
            text = f"{percent}\n{shown[row, column]:,}" if len(plotted) <= _MOST_COUNTED else percent.removesuffix(" %")
            ax.text(column, row, text, ha="center", va="center", fontsize=7.5, color=color)
    crowded = max(map(len, names)) > 3
    # A dollar sign would begin a formula.
    ax.set_xticks(
        *(range(len(plotted)), names),
        rotation=60 if crowded else 0,
        ha="right" if crowded else "center",
        rotation_mode="anchor",
        parse_math=False,
    )
    ax.set_yticks(range(len(plotted)), names, parse_math=False)
    ax.tick_params(length=0, labelsize=9)
    ax.set_xlabel(f"predicted {noun}")
    ax.set_ylabel(f"true {noun}")
    bar = figure.colorbar(image, ax=ax, shrink=0.7, label=f"fraction of the true {noun}'s items, %")
    bar.set_ticks([0, 0.5, 1], labels=["0", "50", "100"])
    ax.spines[:].set_visible(False)
    write_figure(figure, path)


def draw_reliability(
    before: Reliability, after: Reliability | None, path: Path, *, name: str, items: str, predicted: str
) -> None:
    """Draw how often predictions came true, by their confidence, into a PNG file.

    Args:
        before: as trained.
        after: calibrated; None: nothing was.
        path: of the file.
        name: of the calibration, such as "temperature 1.50".
        items: what is predicted, such as "decisions".
        predicted: what the confidence is, such as "confidence in the label".
    """
    figure = Figure(figsize=(5.2, 5.6), layout="constrained")
    ax, below = figure.subplots(2, 1, height_ratios=(4, 1), sharex=True)
    ax.plot([0, 1], [0, 1], color=_GREY, linewidth=0.9, linestyle="--", label="calibrated")
    curves = [("as trained", before, _GREY), *([] if after is None else [(name, after, _BLUE)])]
    for words, curve, color in curves:
        label = f"{words}: off by {100 * curve.expected_calibration_error:.1f} points"
        ax.plot(curve.confidence, curve.accuracy, color=color, marker="o", markersize=4, linewidth=1.5, label=label)
    ax.set_ylabel("fraction that came true")
    ax.set_ylim(0, 1.02)
    ax.legend(frameon=False, loc="lower right", fontsize=9)
    _bars(below, before if after is None else after, items)
    for one in (ax, below):
        one.spines[["top", "right"]].set_visible(False)
    below.set_xlabel(predicted)
    below.set_xlim(0, 1.02)
    write_figure(figure, path)


def draw_early_decision(early: Mapping[float, float], scores: LabelScores, multi_label: bool, path: Path) -> None:
    """Draw how accuracy grows with the fraction of each item that was read, into a PNG file.

    Args:
        early: accuracy (micro F1 of multi-label items) by fraction.
        scores: of the whole items.
        multi_label: whether items have any number of labels.
        path: of the file.
    """
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    ax = figure.subplots()
    percents = [100 * fraction for fraction in early]
    ax.plot(percents, [100 * value for value in early.values()], color=_BLUE, marker="o", markersize=4)
    if not multi_label:
        guess = 100 * max(label.true for label in scores.by_label.values()) / scores.items
        ax.axhline(guess, color=_GREY, linewidth=0.9, linestyle="--")
        ax.annotate("most frequent label", (100, guess), (0, 3), textcoords="offset points", ha="right", color=_GREY)
    ax.set_xlabel("fraction of each item read, from its beginning, %")
    ax.set_ylabel("micro F1, %" if multi_label else "accuracy, %")
    ax.set_xticks(percents)
    ax.spines[["top", "right"]].set_visible(False)
    write_figure(figure, path)


def _bars(ax: Axes, curve: Reliability, what: str) -> None:
    ax.bar(curve.confidence, curve.counts, width=0.06, color=_BLUE)
    ax.set_ylabel(what)
    ax.yaxis.set_major_locator(MaxNLocator(3, integer=True))


def shown_names(names: Sequence[str], others: Sequence[str]) -> list[str]:
    """Names as a picture can hold them, and the others for those with characters that the font lacks."""
    shown = [one_line(name, _LONGEST_NAME) for name in names]
    return [name if drawable([name]) else other for name, other in zip(shown, others, strict=True)]
