"""Pictures of an evaluation, and of an explained series."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from recurra.files import write_atomically
from recurra.inspection.pictures.style import drawable
from recurra.tasks.classify.calibration import Reliability
from recurra.tasks.classify.classifier import Evaluation
from recurra.tasks.classify.explain import Explanation
from recurra.text_table import one_line

__all__ = ["draw_confusion", "draw_early_decision", "draw_reliability", "draw_series_explanation"]

_BLUE, _ORANGE, _GREY = "#1f5fa8", "#d66820", "#8a8f98"
_AGAINST_AND_FOR = LinearSegmentedColormap.from_list("against and for", [_ORANGE, "white", _BLUE])
_MOST_LABELS = 60
_MOST_CHANNELS = 12
_LONGEST_NAME = 24


def draw_confusion(labels: tuple[str, ...], confusion: np.ndarray, path: Path) -> None:
    """Draw which labels are taken for which, in shares of the true label's items, into a PNG file.

    Args:
        labels: K; beyond 60 those most frequent are drawn; those that the font lacks by their numbers, from 1.
        confusion: (K, K), true label by predicted label.
        path: of the file.
    """
    kept = np.sort(np.argsort(-confusion.sum(1), kind="stable")[:_MOST_LABELS])
    shown = confusion[np.ix_(kept, kept)]
    names = _shown([labels[k] for k in kept], [f"label {k + 1}" for k in kept])
    totals = confusion[kept].sum(1, keepdims=True)
    shares = shown / np.maximum(totals, 1)
    size = 2.2 + 0.42 * len(kept)
    figure = Figure(figsize=(size, size), layout="constrained")
    ax = figure.subplots()
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if len(kept) <= 25:
        for row, column in zip(*np.nonzero(shown), strict=True):
            color = "white" if shares[row, column] > 0.6 else "black"
            ax.text(column, row, f"{shown[row, column]:,}", ha="center", va="center", fontsize=8, color=color)
    crowded = max(map(len, names)) > 3
    # A dollar sign would begin a formula.
    ax.set_xticks(
        *(range(len(kept)), names),
        rotation=60 if crowded else 0,
        ha="right" if crowded else "center",
        rotation_mode="anchor",
        parse_math=False,
    )
    ax.set_yticks(range(len(kept)), names, parse_math=False)
    ax.tick_params(length=0, labelsize=9)
    ax.set_xlabel("predicted")
    ax.set_ylabel("true")
    ax.spines[:].set_visible(False)
    _save(figure, path)


def draw_reliability(evaluation: Evaluation, path: Path) -> None:
    """Draw how often what was said came true, by how sure the model was, into a PNG file."""
    figure = Figure(figsize=(5.2, 5.6), layout="constrained")
    ax, below = figure.subplots(2, 1, height_ratios=(4, 1), sharex=True)
    ax.plot([0, 1], [0, 1], color=_GREY, linewidth=0.9, linestyle="--", label="calibrated")
    for curve, color, name in (
        (evaluation.before, _GREY, "as trained"),
        (evaluation.after, _BLUE, f"temperature {evaluation.temperature:.2f}"),
    ):
        label = f"{name}: off by {100 * curve.expected_calibration_error:.1f} points"
        ax.plot(curve.confidence, curve.accuracy, color=color, marker="o", markersize=4, linewidth=1.5, label=label)
    ax.set_ylabel("share that came true")
    ax.set_ylim(0, 1.02)
    ax.legend(frameon=False, loc="lower right", fontsize=9)
    # With several labels an item each label's probability is a point.
    _bars(below, evaluation.after, "decisions" if evaluation.several else "items")
    for one in (ax, below):
        one.spines[["top", "right"]].set_visible(False)
    below.set_xlabel("probability given" if evaluation.several else "confidence in the label")
    below.set_xlim(0, 1.02)
    _save(figure, path)


def draw_early_decision(evaluation: Evaluation, path: Path) -> None:
    """Draw how accuracy grows with the share of each item that was read, into a PNG file."""
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    ax = figure.subplots()
    shares = [100 * share for share in evaluation.early]
    ax.plot(shares, [100 * value for value in evaluation.early.values()], color=_BLUE, marker="o", markersize=4)
    counts = evaluation.model.by_label.values()
    if not evaluation.several:
        guess = 100 * max(label.true for label in counts) / evaluation.model.items
        ax.axhline(guess, color=_GREY, linewidth=0.9, linestyle="--")
        ax.annotate("most frequent label", (100, guess), (0, 3), textcoords="offset points", ha="right", color=_GREY)
    ax.set_xlabel("share of each item read, from its beginning, %")
    ax.set_ylabel("micro F1, %" if evaluation.several else "accuracy, %")
    ax.set_xticks(shares)
    ax.spines[["top", "right"]].set_visible(False)
    _save(figure, path)


def draw_series_explanation(explanation: Explanation, channels: tuple[str, ...], path: Path) -> None:
    """Draw a series, each step of each channel on a colour of what it adds to the label, into a PNG file.

    Args:
        explanation: of a series.
        channels: names; beyond 12 those that add most are drawn.
        path: of the file.
    """
    assert explanation.series is not None
    contributions = explanation.contributions
    kept = np.sort(np.argsort(-np.abs(contributions).sum(0), kind="stable")[:_MOST_CHANNELS])
    largest = float(np.abs(contributions).max()) or 1.0
    figure = Figure(figsize=(8, 1.2 + 1.1 * len(kept)), layout="constrained")
    panels = figure.subplots(len(kept), 1, sharex=True, squeeze=False)[:, 0]
    steps = np.arange(1, len(contributions) + 1)
    image = None
    names = _shown([_channel_name(channels[k]) for k in kept], [f"channel {k + 1}" for k in kept])
    for ax, channel, name in zip(panels, kept, names, strict=True):
        values = explanation.series[:, channel]
        finite = values[np.isfinite(values)]
        low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
        margin = 0.1 * (high - low) or 0.5
        image = ax.imshow(
            contributions[:, channel][None],
            aspect="auto",
            cmap=_AGAINST_AND_FOR,
            vmin=-largest,
            vmax=largest,
            extent=(0.5, len(steps) + 0.5, low - margin, high + margin),
            interpolation="nearest",
        )
        marker = "." if len(steps) <= 60 else None
        ax.plot(steps, values, color="#222222", linewidth=1.1, marker=marker, markersize=4)
        ax.set_ylabel(name, rotation=0, ha="right", va="center", parse_math=False)
        ax.tick_params(labelsize=8)
        ax.spines[["top", "right"]].set_visible(False)
    panels[-1].set_xlabel("step")
    (label,) = _shown([explanation.label], ["the label"])
    title = f"{label}, probability {100 * explanation.probability:.1f} %"
    panels[0].set_title(title, loc="left", fontsize=10, parse_math=False)
    assert image is not None
    figure.colorbar(image, ax=list(panels), label="adds to the log-odds (for: above 0)", aspect=40, pad=0.01)
    _save(figure, path)


def _channel_name(name: str) -> str:
    return f"channel {name}" if name.isdigit() else name


def _bars(ax: Axes, curve: Reliability, what: str) -> None:
    ax.bar(curve.confidence, curve.counts, width=0.06, color=_BLUE)
    ax.set_ylabel(what)
    ax.yaxis.set_major_locator(MaxNLocator(3, integer=True))


def _shown(names: Sequence[str], others: Sequence[str]) -> list[str]:
    """Names as a picture can hold them; what stands for those with characters that the font has not."""
    shown = [one_line(name, _LONGEST_NAME) for name in names]
    return [name if drawable([name]) else other for name, other in zip(shown, others, strict=True)]


def _save(figure: Figure, path: Path) -> None:
    write_atomically(path, lambda aside: figure.savefig(aside, format="png", dpi=120))
