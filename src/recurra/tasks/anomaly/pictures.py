"""Pictures of detections: what came beside what was expected, the score, and the alarms."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from recurra.data.series.channels import ChannelSet
from recurra.files import prepare_folder, write_atomically
from recurra.tasks.anomaly.scoring import Scored

__all__ = ["plot_detections"]

_BLUE, _GREY, _RED, _BLACK, _GREEN = "#1f5fa8", "#8a8a8a", "#c44536", "#222222", "#3c8d5a"
_MOST_CHANNELS = 5
_LEAST_FRACTION = 0.05  # of the scores of alarms, of a channel that is plotted
_BAND = 2  # deviations
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
        ax.fill_between(stamps, *band, color=_BLUE, alpha=0.25, linewidth=0, label=f"expected, {_BAND} deviations")
        ax.plot(stamps, series.values[:, channel], color=_BLACK, linewidth=0.8, label="observed")
        ax.set_ylabel(data.channels[channel], parse_math=False)
    score = axes[-1]
    # The first rows, of which nothing was forecast, would take most of a logarithmic axis.
    lowest = max(float(np.quantile(scored.scores, 0.05)) / 2, 1e-3)
    score.plot(stamps, np.maximum(scored.scores, lowest), color=_BLUE, linewidth=0.9, label="score")
    score.plot(stamps, scored.threshold, color=_RED, linewidth=0.9, linestyle="--", label="threshold")
    score.set_yscale("log")
    low, high = score.get_ylim()
    score.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < _FEW_LABELS * low else (1,)))
    score.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    score.yaxis.set_minor_formatter(NullFormatter())
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
    prepare_folder(path.parent)
    write_atomically(path, lambda aside: figure.savefig(aside, format="png", dpi=120))


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
