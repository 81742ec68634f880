"""Pictures of gates and states, unit by unit."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from recurra.inspection.pictures.style import BLUE, GREY, RED, finish, panels, save
from recurra.inspection.saturation import GateSaturation
from recurra.inspection.states import StateStatistics

__all__ = ["draw_gates", "draw_states"]

_ENDS = {"sigmoid": ("near 0", "near 1"), "tanh": ("near -1", "near 1"), "relu": ("at 0", "")}


def draw_gates(gates: tuple[GateSaturation, ...], path: Path) -> None:
    """A panel a gate, a row a layer: each unit's mean and the range of 8 of 10 values, saturated ranges shaded."""
    names = list(dict.fromkeys(gate.name for gate in gates))
    across = max(sum(gate.name == name for gate in gates) for name in names)
    figure = Figure(figsize=(max(6.0, min(14.0, 0.8 + 3.1 * across)), 0.9 + 2.4 * len(names)), layout="constrained")
    grid = figure.subplots(len(names), across, squeeze=False)
    for row, name in zip(grid, names, strict=True):
        here = [gate for gate in gates if gate.name == name]
        for ax in row[len(here) :]:
            ax.set_visible(False)
        for column, (ax, gate) in enumerate(zip(row, here, strict=False)):
            _draw_gate(ax, gate)
            last = name == names[-1]
            finish(ax, _gate_title(gate), "unit, sorted by mean" if last else "", "" if column else "value")
            ax.title.set_fontsize(8.5)
    labelled = {}
    for ax in grid.flat:
        labelled |= dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    figure.legend(labelled.values(), labelled.keys(), loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    save(figure, path)


def _draw_gate(ax: Axes, gate: GateSaturation) -> None:
    order = np.argsort(gate.mean)
    units = np.arange(1, len(order) + 1)
    stuck = np.isin(order, np.concatenate([gate.stuck_low, gate.stuck_high]))
    width = max(1.0, min(5.0, 110 / len(units)))
    for chosen, colour, label in ((~stuck, BLUE, "8 of 10 values"), (stuck, RED, "stuck at one end")):
        if chosen.any():
            low, high = gate.tenth[order][chosen], gate.ninetieth[order][chosen]
            ax.vlines(units[chosen], low, high, color=colour, linewidth=width, alpha=0.45, label=label)
            ax.scatter(units[chosen], gate.mean[order][chosen], s=5, color=colour, zorder=3, label="mean")
    if gate.function != "relu":
        least = 0.0 if gate.function == "sigmoid" else -1.0
        ax.set_ylim(least - 0.03, 1.03)
        for band in ((least - 0.03, least + 0.1), (0.9, 1.03)):
            ax.axhspan(*band, color="#f3d9a4", alpha=0.6, linewidth=0, zorder=0, label="saturated")


def _gate_title(gate: GateSaturation) -> str:
    ends = zip((gate.low, gate.high), _ENDS[gate.function], strict=True)
    fractions = ", ".join(f"{fraction.mean():.0%} {end}" for fraction, end in ends if end)
    return f"{gate.name}: {gate.gate}, {gate.function}\n{fractions}"


def draw_states(states: tuple[StateStatistics, ...], path: Path) -> None:
    """A panel a part of a layer's state: range, mean and standard deviation of each unit; dead units in red."""
    figure, axes = panels(len(states), across=2, height=2.6)
    for ax, state in zip(axes, states, strict=True):
        order = np.argsort(state.mean)
        units = np.arange(1, len(order) + 1)
        mean, deviation = state.mean[order], state.deviation[order]
        ax.vlines(units, state.least[order], state.greatest[order], color="#c9d6e6", linewidth=2, label="range")
        ax.vlines(units, mean - deviation, mean + deviation, color=BLUE, linewidth=2, label="mean and deviation")
        ax.scatter(units, mean, s=4, color="white", zorder=3)
        dead = np.flatnonzero(np.isin(order, state.dead))
        if len(dead):
            ax.scatter(units[dead], mean[dead], s=30, color=RED, marker="x", zorder=4, label="never moves")
        ax.axhline(0, color=GREY, linewidth=0.6, linestyle=":")
        finish(ax, f"{state.name}: {state.part}", "unit, sorted by mean", "value")
    labelled = {}
    for ax in axes:
        labelled |= dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    figure.legend(labelled.values(), labelled.keys(), loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    save(figure, path)
