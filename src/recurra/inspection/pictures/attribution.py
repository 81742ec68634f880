"""The picture of an attribution."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

import numpy as np

from recurra.inspection.attribution import Attribution
from recurra.inspection.pictures.style import (
    BLACK,
    BLUE,
    GREY,
    RED,
    finish,
    label_steps,
    panels,
    save,
    tick_whole_numbers,
)

__all__ = ["draw_attribution"]


def draw_attribution(
    exact: Attribution,
    quick: Attribution,
    path: Path,
    sequence: int = 0,
    first_step: int = 0,
    step: str = "step",
    output: str = "the output",
    unit: str = "",
    labels: Sequence[str] = (),
    mean: str = "the mean of the data",
) -> None:
    """What each step of the input adds to the output of a sequence: integrated gradients, and gradient x input.

    Args:
        exact: integrated gradients.
        quick: gradient x input.
        path: of the PNG.
        sequence: which of the batch.
        first_step: the index of the first step.
        step: what the axis is called.
        output: what is attributed.
        unit: of the output.
        labels: what to call the steps, plotted if there is room; if empty, steps have their index.
        mean: what a step is compared with.
    """
    parts = exact.of(sequence)
    values = np.concatenate(parts)
    width = min(11.0, max(10.0, 1.5 + 0.13 * len(labels)))
    figure, (ax,) = panels(1, width=width, height=3.6)
    steps = first_step + np.arange(len(values))
    for sign, colour, label in ((1, BLUE, "adds"), (-1, RED, "takes away")):
        here = sign * values > 0
        if here.any():
            ax.bar(steps[here], values[here], width=0.8, color=colour, label=f"{label} (integrated gradients)")
    ax.plot(
        *(steps, np.concatenate(quick.of(sequence))),
        color=BLACK,
        linewidth=0.9,
        marker="o",
        markersize=2.5,
        label="gradient x input",
    )
    ax.axhline(0, color=GREY, linewidth=0.6)
    for boundary in np.cumsum([len(part) for part in parts])[:-1]:
        ax.axvline(first_step + boundary - 0.5, color=GREY, linewidth=1, linestyle="--")
    change = exact.output[sequence] - exact.baseline_output[sequence]
    title = f"{output}: {exact.output[sequence]:.3g}; the input instead of {mean} adds {change:+.3g}"
    finish(ax, fill(title, int(11 * width)), step, f"added to the output ({unit})" if unit else "added to the output")
    ax.legend(frameon=False, fontsize=8)
    ax.margins(x=0.01)
    tick_whole_numbers(ax)
    label_steps(ax, steps, labels, width - 1.0)
    save(figure, path)
