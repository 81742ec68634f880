"""Pictures of a search: how it went, which options matter, and which values did well together."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from recurra.figures import png_of
from recurra.options import Range
from recurra.tuning.results import Trial
from recurra.tuning.space import Space

__all__ = ["draw_history", "draw_importance", "draw_parallel"]

_BLUE, _GREY, _RED = "#1f5fa8", "#8a8a8a", "#c44536"
_MAP = "viridis_r"
_MOST_CHOICES = 8


def draw_history(trials: Sequence[Trial]) -> bytes:
    """The validation loss of each trial, and the least so far, as PNG."""
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    ax = figure.subplots()
    complete = [(trial.number, trial.loss) for trial in trials if trial.loss is not None]
    numbers, losses = [number for number, _ in complete], [loss for _, loss in complete]
    pruned = [trial for trial in trials if trial.state == "pruned" and trial.losses]
    ax.plot(numbers, losses, "o", color=_BLUE, markersize=4.5, label="complete")
    if pruned:
        last = [trial.losses[max(trial.losses)] for trial in pruned]
        ax.plot([t.number for t in pruned], last, "x", color=_GREY, markersize=5, label="pruned, when it was")
    least = np.minimum.accumulate(losses)
    until = [*numbers, trials[-1].number]
    ax.step(until, [*least, least[-1]], where="post", color=_RED, linewidth=1.4, label="least so far")
    # A trial that diverged would hide the others.
    low, high = min(losses), sorted(losses)[min(len(losses) - 1, math.ceil(0.9 * len(losses)))]
    spread = max(high - low, 1e-9 * abs(high), 1e-12)
    ax.set_ylim(low - 0.1 * spread, high + 0.25 * spread)
    ax.set_xlabel("trial")
    ax.set_ylabel("validation loss")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(frameon=False, fontsize=9)
    ax.spines[["top", "right"]].set_visible(False)
    return png_of(figure)


def draw_importance(importance: dict[str, float]) -> bytes:
    """How much of the difference between trials each option explains, as PNG."""
    figure = Figure(figsize=(8, 0.8 + 0.34 * len(importance)), layout="constrained")
    ax = figure.subplots()
    names = sorted(importance, key=lambda name: importance[name])
    bars = ax.barh([_named(name) for name in names], [importance[name] for name in names], color=_BLUE, height=0.6)
    ax.bar_label(bars, [f"{100 * importance[name]:.0f} %" for name in names], padding=4, fontsize=9)
    ax.set_xlim(0, 1.12 * max(importance.values()))
    ax.xaxis.set_visible(False)
    ax.spines[["top", "right", "bottom"]].set_visible(False)
    return png_of(figure)


def draw_parallel(trials: Sequence[Trial], space: Space) -> bytes:
    """A line for each complete trial through its values, coloured by its validation loss, as PNG.

    Each option has an axis of its own scale; trials with the lowest losses are in front.
    """
    complete = sorted((t for t in trials if t.loss is not None), key=lambda trial: -(trial.loss or 0.0))
    names = list(space)
    figure = Figure(figsize=(max(8.0, 1.25 * len(names) + 2), 4.2), layout="constrained")
    ax = figure.subplots()
    axes = [_Axis(name, space[name], complete) for name in names]
    losses = np.array([trial.loss for trial in complete], dtype=float)
    # Ranks, not losses: one trial that diverged would leave the others in one colour.
    ranks = np.argsort(np.argsort(losses)) / max(1, len(losses) - 1)
    colours = ScalarMappable(Normalize(0, 1), _MAP)
    for trial, rank in zip(complete, ranks, strict=True):
        heights = [axis.height(trial.options.get(axis.name)) for axis in axes]
        best = rank == 0
        colour = _RED if best else colours.to_rgba(rank)
        ax.plot(range(len(axes)), heights, color=colour, linewidth=2.2 if best else 1.0, alpha=1.0 if best else 0.75)
    for place, axis in enumerate(axes):
        ax.axvline(place, color="#444444", linewidth=0.8)
        for height, label in axis.ticks():
            ax.annotate(label, (place, height), xytext=(4, 0), textcoords="offset points", fontsize=8, va="center")
    ax.set_xticks(range(len(axes)), [_named(name) for name in names], rotation=25, ha="right")
    ax.set_xlim(-0.1, len(axes) - 1 + 0.5)
    ax.yaxis.set_visible(False)
    ax.spines[:].set_visible(False)
    bar = figure.colorbar(colours, ax=ax, pad=0.01, ticks=[0, 1])
    bar.ax.set_yticklabels([f"best\n{losses.min():.4g}", f"worst\n{losses.max():.4g}"], fontsize=8)
    return png_of(figure)


class _Axis:
    """Heights from 0 to 1 of the values of an option."""

    def __init__(self, name: str, values: Range | tuple[object, ...], trials: Sequence[Trial]) -> None:
        self.name, self._values = name, values
        tried = [trial.options.get(name) for trial in trials]
        if isinstance(values, Range):
            numbers = [one for one in tried if isinstance(one, int | float)]
            self._low = min([float(values.low), *numbers])
            self._high = max([float(values.high), *numbers])
            self._log = values.log and self._low > 0
            self._is_whole = all(isinstance(one, int) for one in numbers)
        else:
            self._choices = [*values, *dict.fromkeys(one for one in tried if one is not None and one not in values)]

    def height(self, value: object) -> float:
        """NaN of a value that is left to the data, which is on no axis."""
        if value is None:
            return math.nan
        if not isinstance(self._values, Range):
            return self._choices.index(value) / max(1, len(self._choices) - 1)
        scale = math.log if self._log else float
        low, high = scale(self._low), scale(self._high)
        return (scale(float(value)) - low) / (high - low)  # type: ignore[arg-type]

    def ticks(self) -> list[tuple[float, str]]:
        if isinstance(self._values, Range):
            middle = math.sqrt(self._low * self._high) if self._log else (self._low + self._high) / 2
            has_middle = not self._is_whole or middle == int(middle)
            shown = [self._low, middle, self._high] if has_middle else [self._low, self._high]
            return [(self.height(one), f"{one:.2g}" if one < 10 else f"{one:.0f}") for one in shown]
        choices = self._choices if len(self._choices) <= _MOST_CHOICES else (self._choices[0], self._choices[-1])
        return [(self.height(one), ",".join(map(str, one)) if isinstance(one, tuple) else str(one)) for one in choices]


def _named(name: str) -> str:
    return name.replace("_", "-")
