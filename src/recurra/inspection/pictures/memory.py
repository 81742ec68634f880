"""Pictures of memory: gradients and Jacobians by lag, and what is forgotten."""

from pathlib import Path
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes

from recurra.inspection.forgetting import Forgetting
from recurra.inspection.lag import GradientByLag, LagCurve
from recurra.inspection.memory import JacobianNorms
from recurra.inspection.pictures.style import (
    BLACK,
    BLUE,
    COLOURS,
    GREY,
    RED,
    finish,
    no_panel_at,
    panels,
    save,
    tick_whole_numbers,
)
from recurra.inspection.texts import LEGEND_FITS

__all__ = ["draw_forgetting", "draw_gradient_by_lag", "draw_jacobian_norms"]

_DEEPEST = 1e-12  # of the largest, below which a curve is cut off


def draw_gradient_by_lag(gradients: GradientByLag, path: Path) -> None:
    """The norm of dL/ds_t by lag on a logarithmic scale, a panel a layer, with the fitted decay and the horizon."""
    whole = gradients.whole()
    figure, axes = panels(len(whole), height=3.4)
    for ax, curve in zip(axes, whole, strict=True):
        parts = [c for c in gradients.curves if c.track == curve.track and c is not curve]
        for colour, part in zip(COLOURS[1:], parts, strict=False):
            _curve(ax, part, colour, f"part {part.part}", 1.2)
        _curve(ax, curve, COLOURS[0], "whole state" if parts else "state", 2.0)
        _fit(ax, curve)
        finish(ax, curve.track, "lag (steps before the loss)", "norm of dL/ds")
        tick_whole_numbers(ax)
        ax.legend(frameon=False, fontsize=8)
    note = "Memory horizon (dotted): the lag at which the fitted norm has fallen to 1 %. Mean over sequences."
    figure.supxlabel(note, x=0.01, ha="left", fontsize=8, color="#555555")
    save(figure, path)


def draw_jacobian_norms(
    jacobians: tuple[JacobianNorms, ...], path: Path, first_step: int = 0, step: str = "step"
) -> None:
    """The norm of a step's Jacobian through time, and of the Jacobian over k steps by k."""
    figure, (left, right) = panels(2, height=3.6)
    for colour, norms in zip(COLOURS * len(jacobians), jacobians, strict=False):
        left.plot(first_step + np.arange(len(norms.by_step)), norms.by_step, color=colour, label=norms.track)
        positive = norms.median > 0
        if positive.any():
            lags, low = norms.lags[positive], np.maximum(norms.low[positive], norms.median[positive] * _DEEPEST)
            right.fill_between(lags, low, norms.high[positive], color=colour, alpha=0.15, linewidth=0)
            right.plot(lags, norms.median[positive], color=colour, marker="o", markersize=2.5, label=norms.track)
    left.axhline(1, color=GREY, linewidth=0.8, linestyle=":")
    left.set_ylim(0, 1.08 * max(1.0, *(np.nanmax(norms.by_step) for norms in jacobians)))
    finish(left, "over one step", step, "spectral norm of ds(t)/ds(t-1)")
    if not no_panel_at(np.concatenate([j.median for j in jacobians])):
        right.set_yscale("log")
    right.axhline(1, color=GREY, linewidth=0.8, linestyle=":")
    finish(right, "over k steps: median, least and greatest", "k (steps)", "spectral norm of ds(t)/ds(t-k)")
    right.legend(frameon=False, fontsize=8)
    tick_whole_numbers(left)
    tick_whole_numbers(right)
    save(figure, path)


def draw_forgetting(
    forgotten: Forgetting,
    path: Path,
    output: str = "the output",
    unit: str = "",
    nearest: str = "the last k",
    mean: str = "the mean of the data",
) -> None:
    """The effect on the output of replacing inputs further away than k steps, by k."""
    figure, (ax,) = panels(1, width=8, height=3.4)
    effect = forgotten.effect
    ax.plot(forgotten.lags, effect, color=BLUE, marker="o", markersize=3)
    reach = forgotten.reach()
    if 0 < reach < forgotten.lags[-1]:
        early = reach < 0.5 * forgotten.lags[-1]
        ax.axvline(reach, color=RED, linewidth=1, linestyle="--")
        ax.annotate(
            f"beyond {reach} steps: at most 1 % of the whole effect",
            (reach, effect.max()),
            xytext=(5 if early else -5, 0),
            textcoords="offset points",
            fontsize=8,
            color=RED,
            va="top",
            ha="left" if early else "right",
        )
    ax.set_ylim(bottom=0)
    finish(
        ax,
        fill(f"change of {output} when all but {nearest} steps are replaced by {mean}", 90),
        "k (steps not replaced)",
        f"mean change ({unit})" if unit else "mean change",
    )
    tick_whole_numbers(ax)
    save(figure, path)


def _curve(ax: Axes, curve: LagCurve, colour: str, label: str, width: float) -> None:
    floor = curve.norms.max(initial=0.0) * _DEEPEST
    shown = np.where(curve.norms > floor, curve.norms, np.nan)
    marker = "o" if len(shown) < 60 else None
    ax.plot(shown, color=colour, linewidth=width, marker=marker, markersize=2.5, label=label)


def _fit(ax: Axes, curve: LagCurve) -> None:
    if no_panel_at(curve.norms):
        ax.text(0.5, 0.5, "no gradient reaches this layer", transform=ax.transAxes, ha="center", color=GREY)
        return
    ax.set_yscale("log")
    decay, lags = curve.decay, np.arange(len(curve.norms))
    label = LEGEND_FITS.of(decay, curve.track)
    if not decay.is_fitted:
        ax.plot([], [], linestyle="none", label=label)
    elif decay.factor > 0:
        fitted = decay.at(lags)
        shown = fitted >= max(curve.norms[curve.norms > 0].min(), curve.norms.max() * _DEEPEST)
        ax.plot(lags[shown], fitted[shown], color=BLACK, linewidth=1, linestyle="--", label=label)
    if decay.horizon < len(curve.norms) - 1:
        ax.axvline(decay.horizon, color=GREY, linewidth=1, linestyle=":")
