"""Pictures of modular layers: which module was active when."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap

from recurra.inspection.module_activity import ModuleActivity
from recurra.inspection.pictures.style import (
    BLUE,
    finish,
    label_steps,
    panels,
    save,
    step_names,
    tick_whole_numbers,
)
from recurra.inspection.pictures.values import Curve, Picture, Values

__all__ = ["draw_module_activity"]

_WIDTH = 10.0  # inches
_RESTING = "#eef2f7"


def draw_module_activity(activities: Sequence[ModuleActivity], path: Path, labels: Sequence[str] = ()) -> Picture:
    """A panel a layer, a row a module, filled at the steps at which it was active; at its end the fraction of them.

    Args:
        activities: of `module_activity`.
        path: of the PNG.
        labels: what to call the steps, where all layers have as many; if empty, they have their index.
    """
    rows = max(activity.active.shape[1] for activity in activities)
    figure, axes = panels(len(activities), across=1, width=_WIDTH, height=1.1 + 0.28 * rows)
    values = {}
    for ax, activity in zip(axes, activities, strict=True):
        values[ax] = _draw_layer(ax, activity, labels)
    return save(figure, path, values)


def _draw_layer(ax: Axes, activity: ModuleActivity, labels: Sequence[str]) -> Values:
    steps, modules = activity.active.shape
    ax.imshow(
        activity.active.T,
        aspect="auto",
        interpolation="none",
        cmap=ListedColormap([_RESTING, BLUE]),
        vmin=0,
        vmax=1,
        extent=(-0.5, steps - 0.5, modules + 0.5, 0.5),
    )
    ax.hlines(np.arange(1, modules) + 0.5, -0.5, steps - 0.5, color="white", linewidth=2)
    ax.set_yticks(range(1, modules + 1))
    ax.tick_params(axis="y", length=0)
    for module, fraction in enumerate(activity.fractions, 1):
        ax.text(1.005, module, f"{fraction:.0%}", transform=ax.get_yaxis_transform(), va="center", fontsize=8)
    title = f"{activity.name or 'Modules'}: active (blue) and resting, with the fraction of active steps"
    if not label_steps(ax, np.arange(steps), labels, _WIDTH - 1.5):
        tick_whole_numbers(ax)
    finish(ax, title, "step", "module")
    ax.spines[["left", "bottom"]].set_visible(False)
    return Values(
        step_names(np.arange(steps), labels),
        np.arange(steps),
        [Curve(f"module {n + 1} is active", activity.active[:, n].astype(float)) for n in range(modules)],
    )
