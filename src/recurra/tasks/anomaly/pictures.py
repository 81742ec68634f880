"""Pictures: what came beside what was expected, the score, the alarms; and the scores that thresholds follow from."""

import math
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from recurra.data.series.channels import ChannelSet
from recurra.detection.tail import ScoreTail
from recurra.detection.two_scales import NEVER
from recurra.figures import png_of, write_figure
from recurra.files import prepare_folder, write_bytes
from recurra.tasks.anomaly.learned import AnomalyLearned
from recurra.tasks.anomaly.scoring import Scored, two_scales

__all__ = ["plot_detections", "plot_tails", "tail_picture"]

_BLUE, _GREY, _RED, _BLACK, _GREEN = "#1f5fa8", "#8a8a8a", "#c44536", "#222222", "#3c8d5a"
_MOST_CHANNELS = 5
_LEAST_FRACTION = 0.05  # of the scores of alarms, of a channel that is plotted
_BAND = 2  # deviations
_BARS = 60  # of a histogram of scores
_LOWEST, _BEYOND = 0.01, 1.5  # where its bars begin, a quantile; and end, times what is highest
_FAINT = 0.03  # of the rows that are expected at the threshold, where the curve of the tail ends
_GAP = 10  # median rows, across which no line is plotted
_FEW_LABELS = 100  # the range of scores within which powers of ten alone are too few labels


def plot_detections(data: ChannelSet, index: int, scored: Scored, path: Path) -> None:
    """Plot one series: the channels that add most to its alarms, at least one, then the score with its threshold.

    Args:
        data: the series.
        index: of the series.
        scored: its scores.
        path: of the PNG file.
    """
    series = data.series[index]
    stamps = data.form.local(series.stamps)
    gaps = _gaps(stamps)
    rows = scored.alarms if scored.events else np.ones(len(series), bool)
    added = np.maximum(scored.parts[rows].sum(axis=0), 0)
    order = np.argsort(-added)[:_MOST_CHANNELS]
    large = order[added[order] >= _LEAST_FRACTION * added.sum()]
    chosen = np.sort(large if len(large) else order[:1])
    figure = Figure(figsize=(10, 1.2 + 1.7 * (len(chosen) + 1)), layout="constrained")
    axes = list(figure.subplots(len(chosen) + 1, 1, sharex=True, squeeze=False)[:, 0])
    for ax, channel in zip(axes, chosen.tolist(), strict=False):
        expected, deviation = scored.expected[:, channel], scored.deviation[channel]
        band = (expected - _BAND * deviation, expected + _BAND * deviation)
        at, *band = _parted(gaps, stamps, *band)
        ax.fill_between(at, *band, color=_BLUE, alpha=0.25, linewidth=0, label=f"expected, {_BAND} deviations")
        at, values = _parted(gaps, stamps, series.values[:, channel])
        ax.plot(at, values, color=_BLACK, linewidth=0.8, label="observed")
        # A value between two missing ones is a line of no length.
        absent = np.concatenate([[True], np.isnan(values), [True]])
        alone = absent[:-2] & absent[2:] & ~absent[1:-1]
        ax.plot(at[alone], values[alone], color=_BLACK, linestyle="", marker=".", markersize=2)
        ax.set_ylabel(data.channels[channel], parse_math=False)
    score = axes[-1]
    # The first rows, of which nothing was forecast, would take most of a logarithmic axis.
    lowest = max(float(np.quantile(scored.scores, 0.05)) / 2, 1e-3)
    at, scores, thresholds = _parted(gaps, stamps, np.maximum(scored.scores, lowest), scored.threshold)
    score.plot(at, scores, color=_BLUE, linewidth=0.9, label="score")
    score.plot(at, thresholds, color=_RED, linewidth=0.9, linestyle="--", label="threshold")
    score.set_yscale("log")
    low, high = score.get_ylim()
    _plain_labels(score.yaxis, high / low)
    score.set_ylabel("score")
    score.set_xlabel(data.columns.time or "row", parse_math=False)
    for ax in axes:
        _mark_events(ax, stamps, scored, series.labels)
        ax.spines[["top", "right"]].set_visible(False)
        ax.margins(x=0.01)
    axes[0].set_title(series.id if len(data) > 1 else Path(data.source).name, loc="left", fontsize=10, parse_math=False)
    if stamps.dtype.kind == "M":
        locator = AutoDateLocator()
        score.xaxis.set_major_locator(locator)
        score.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    handles = {label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=len(handles), frameon=False)
    write_figure(figure, path)


def _gaps(stamps: np.ndarray) -> np.ndarray:
    """The rows that come long after the row before."""
    between = np.diff(stamps.astype(np.int64))
    return np.flatnonzero(between > _GAP * np.median(between)) + 1 if len(between) else np.empty(0, int)


def _parted(gaps: np.ndarray, stamps: np.ndarray, *curves: np.ndarray) -> list[np.ndarray]:
    """Stamps and curves (T,), with a missing value before each gap's end, so that no line crosses it."""
    return [np.insert(stamps, gaps, stamps[gaps]), *(np.insert(curve, gaps, np.nan) for curve in curves)]


def plot_tails(learned: AnomalyLearned, probability: float, path: Path, *, hindsight: bool = False) -> None:
    """Plot the scores of normal rows with their fitted tails and thresholds into a PNG file; see `tail_picture`."""
    prepare_folder(path.parent)
    write_bytes(path, tail_picture(learned, probability, hindsight=hindsight))


def tail_picture(learned: AnomalyLearned, probability: float, *, hindsight: bool = False) -> bytes:
    """The distributions of the slow and the fast scores that calibrate the thresholds, as a PNG file.

    Bars are counts of rows; a curve shows how many the fitted tail has there, as far as the threshold and somewhat
    beyond. Each threshold has half of the false alarms.

    Args:
        learned: of a detector whose training has ended.
        probability: of a false alarm, a row.
        hindsight: whether the slow scores are those smoothed in both directions.
    """
    model = learned.errors
    assert model is not None
    scales = two_scales(learned, probability, hindsight, adapts=False)
    slow = model.hindsight_scores if hindsight else model.scores
    both = zip(
        ("slow score, smoothed: stretches", "fast score: single rows"),
        (slow, model.fast_scores),
        scales.thresholds,
        strict=True,
    )
    shown = [one for one in both if one[2] < NEVER]
    figure = Figure(figsize=(5 * len(shown), 3.6), layout="constrained")
    axes = list(figure.subplots(1, len(shown), sharey=True, squeeze=False)[0])
    rows = [(ax, *one, tail) for ax, one, tail in zip(axes, shown, scales.tails, strict=True)]
    for ax, name, scores, threshold, tail in rows:
        _plot_tail(ax, scores, tail, threshold, f"threshold: one row in {len(axes) / probability:,.0f}")
        ax.set_title(name, loc="left", fontsize=10)
        ax.set_xlabel("score")
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("normal rows")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2 * len(axes), frameon=False)
    return png_of(figure)


def _plot_tail(ax: Axes, scores: np.ndarray, tail: ScoreTail, threshold: float, label: str) -> None:
    positive = scores[scores > 0]
    if not len(positive):
        ax.text(0.5, 0.5, "all scores are 0", ha="center", transform=ax.transAxes)
        return
    highest = max(float(positive.max()), threshold)
    edges = np.geomspace(np.quantile(positive, _LOWEST), _BEYOND * highest, _BARS + 1)
    counts, _ = np.histogram(scores, edges)
    ax.stairs(counts, edges, fill=True, color=_BLUE, alpha=0.35, label="rows that set the threshold")
    beyond = edges[edges > tail.level]
    expected = -len(scores) * np.diff(tail.survival(beyond))
    centres = np.sqrt(beyond[:-1] * beyond[1:])
    at_threshold = expected[min(np.searchsorted(beyond[1:], threshold), len(expected) - 1)] if len(expected) else 0.0
    plotted = expected > _FAINT * at_threshold
    ax.plot(
        centres[plotted],
        expected[plotted],
        color=_BLACK,
        linewidth=1.2,
        label="fitted tail (generalised Pareto)",
    )
    ax.axvline(tail.level, color=_GREY, linewidth=0.9, linestyle=":", label="where the tail begins")
    ax.axvline(threshold, color=_RED, linewidth=1.1, linestyle="--", label=label)
    ax.text(threshold, 0.98, f" {threshold:.3g}", color=_RED, va="top", transform=ax.get_xaxis_transform())
    ax.set_xscale("log")
    ax.set_xlim(edges[0], edges[-1])
    _plain_labels(ax.xaxis, edges[-1] / edges[0])
    ax.set_yscale("log")
    _plain_labels(ax.yaxis, math.inf)


def _plain_labels(axis: Axis, ratio: float) -> None:
    """Plain numbers along a logarithmic axis: powers of ten, and between them if the axis spans few."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if ratio < _FEW_LABELS else (1,)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def _mark_events(ax: Axes, stamps: np.ndarray, scored: Scored, labels: np.ndarray | None) -> None:
    last = len(stamps) - 1
    for number, event in enumerate(scored.events):
        span = (stamps[event.start], stamps[min(event.end, last)])
        ax.axvspan(*span, color=_RED, alpha=0.18, linewidth=0, label=None if number else "alarm")
    if labels is not None and labels.any():
        # Along the top edge, whatever the values are.
        ax.fill_between(
            stamps,
            0.96,
            1.0,
            where=labels.tolist(),
            transform=ax.get_xaxis_transform(),
            color=_GREEN,
            linewidth=0,
            label="labelled anomaly",
        )
