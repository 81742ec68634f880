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
    legend_below,
    no_panel_at,
    panels,
    save,
    step_names,
    tick_whole_numbers,
)
from recurra.inspection.pictures.values import Curve, Picture, Values
from recurra.inspection.texts import LEGEND_FITS

__all__ = ["draw_forgetting", "draw_gradient_by_lag", "draw_jacobian_norms"]

_DEEPEST = 1e-12  # of the largest, below which a curve is cut off


def draw_gradient_by_lag(gradients: GradientByLag, path: Path) -> Picture:
    """The norm of dL/ds_t by lag on a logarithmic scale, a panel a layer, with the fitted decay and the horizon."""
    whole = gradients.whole()
    figure, axes = panels(len(whole), height=3.8)
    values = {}
    for ax, curve in zip(axes, whole, strict=True):
        parts = [c for c in gradients.curves if c.track == curve.track and c is not curve]
        curves = [Curve("whole state" if parts else "state", curve.norms, COLOURS[0])]
        curves += [
            Curve(f"part {part.part}", part.norms, colour) for colour, part in zip(COLOURS[1:], parts, strict=False)
        ]
        for one in (*curves[1:], curves[0]):
            _curve(ax, one, 1.2 if one is not curves[0] else 2.0)
        _fit(ax, curve)
        lags = np.arange(len(curve.norms))
        if curve.decay.is_fitted:
            curves.append(Curve("fit", curve.decay.at(lags), BLACK))
        values[ax] = Values([f"{lag}" for lag in lags], lags, curves, heading=f"{curve.track}: lag ")
        finish(ax, curve.track, "lag (steps before the loss)", "norm of dL/ds")
        tick_whole_numbers(ax)
        legend_below(ax, 4 if len(whole) == 1 else 2)
    note = "Memory horizon (dotted): the lag at which the fitted norm has fallen to 1 %. Mean over sequences."
    figure.supxlabel(note, x=0.01, ha="left", fontsize=8, color="#555555")
    return save(figure, path, values)


def draw_jacobian_norms(
    jacobians: tuple[JacobianNorms, ...], path: Path, first_step: int = 0, step: str = "step"
) -> Picture:
    """The norm of a step's Jacobian through time, and of the Jacobian over k steps by k."""
    figure, (left, right) = panels(2, height=3.6)
    steps = first_step + np.arange(max(len(norms.by_step) for norms in jacobians))
    every_lag = np.unique(np.concatenate([norms.lags for norms in jacobians]))
    by_step, by_lag = [], []
    for colour, norms in zip(COLOURS * len(jacobians), jacobians, strict=False):
        left.plot(first_step + np.arange(len(norms.by_step)), norms.by_step, color=colour, label=norms.track)
        positive = norms.median > 0
        if positive.any():
            lags, low = norms.lags[positive], np.maximum(norms.low[positive], norms.median[positive] * _DEEPEST)
            right.fill_between(lags, low, norms.high[positive], color=colour, alpha=0.15, linewidth=0)
            right.plot(lags, norms.median[positive], color=colour, marker="o", markersize=2.5, label=norms.track)
        by_step.append(Curve(norms.track, norms.by_step, colour))
        for name, numbers, shown in (
            (f"{norms.track}, median", norms.median, colour),
            (f"{norms.track}, least", norms.low, ""),
            (f"{norms.track}, greatest", norms.high, ""),
        ):
            known = np.full(len(every_lag), np.nan)
            known[np.searchsorted(every_lag, norms.lags)] = numbers
            by_lag.append(Curve(name, known, shown))
    left.axhline(1, color=GREY, linewidth=0.8, linestyle=":")
    left.set_ylim(0, 1.08 * max(1.0, *(np.nanmax(norms.by_step) for norms in jacobians)))
    finish(left, "over one step", step, "spectral norm of ds(t)/ds(t-1)")
    if not no_panel_at(np.concatenate([j.median for j in jacobians])):
        right.set_yscale("log")
    right.axhline(1, color=GREY, linewidth=0.8, linestyle=":")
    finish(right, "over k steps: median, least and greatest", "k (steps)", "spectral norm of ds(t)/ds(t-k)")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    tick_whole_numbers(left)
    tick_whole_numbers(right)
    values = {
        left: Values(step_names(steps), steps, by_step),
        right: Values([f"over {lag} steps" for lag in every_lag], every_lag, by_lag),
    }
    return save(figure, path, values)


def draw_forgetting(
    forgotten: Forgetting,
    path: Path,
    output: str = "the output",
    unit: str = "",
    nearest: str = "the last k",
    mean: str = "the mean of the data",
) -> Picture:
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
    curve = Curve(f"mean change ({unit})" if unit else "mean change", effect, BLUE)
    points = [f"all but {lag} steps replaced" for lag in forgotten.lags]
    return save(figure, path, {ax: Values(points, forgotten.lags, (curve,))})


def _curve(ax: Axes, curve: Curve, width: float) -> None:
    floor = curve.values.max(initial=0.0) * _DEEPEST
    shown = np.where(curve.values > floor, curve.values, np.nan)
    marker = "o" if len(shown) < 60 else None
    ax.plot(shown, color=curve.colour, linewidth=width, marker=marker, markersize=2.5, label=curve.name)


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
