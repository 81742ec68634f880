"""Look inside a trained forecaster."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recurra.data.series.series_set import SeriesSet
from recurra.data.series.windows import Window
from recurra.errors import DataError
from recurra.inspection import Words
from recurra.models.forecasting.network import mean_loss
from recurra.models.forecasting.normalization import normalize
from recurra.task import View
from recurra.task.architecture import blocks_of
from recurra.task.reservoir_options import reservoir_in_words
from recurra.tasks.forecast.model import ForecastModel, with_defaults

__all__ = ["view"]

_MOST_WINDOWS = 32

_NONE_LONG_ENOUGH = (
    "{source}: no series is long enough to look at: a window needs {steps} steps and, after them, a horizon of "
    "{horizon}"
)
_NOT_LONG_ENOUGH = (
    "{source}: series {series!r} is not long enough to look at: a window needs {steps} steps and, after them, a "
    "horizon of {horizon}"
)
_LOOKED_AT_ONE = "1 window; plotted is series {series!r}, with {stamp} as its last step before the forecast"
_LOOKED_AT = "{count} windows; plotted is series {series!r}, with {stamp} as its last step before the forecast"


def view(model: ForecastModel, data: SeriesSet, series: str | None, name: str) -> View:
    """What `inspect` shows: windows of the series, the first of which is plotted.

    Args:
        model: fitted.
        data: the series.
        series: id of the series; None: all of them.
        name: of the run, for the page.

    Raises:
        DataError: there is no such series, or none is long enough.
    """
    rows, origins = _windows(model, data, series)
    window = model.windows(data).cut(rows, origins).to(model.device)
    first = model.windows(data).cut(rows[:1], origins[:1]).to(model.device)

    def last_step(output: Any) -> Tensor:
        return output[0][0][:, -1, 0]

    return View(
        (window,),
        _words(model, data, int(rows[0]), int(origins[0]), len(rows), window, name),
        loss=_last_step_loss(model, window),
        output=last_step,
        reads="recurrent",
        alone=((first,), last_step),
    )


def _windows(model: ForecastModel, data: SeriesSet, name: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Series and origins of windows whose last step was observed, the one to plot first."""
    shape = model.shape
    windows: list[tuple[int, int]] = []
    for row, series in enumerate(data):
        if name is not None and series.id != data[name].id:
            continue
        last = len(series) - shape.horizon
        origins = range(last, shape.least_origin - 1, -max(1, shape.horizon // 2))
        windows += [(row, origin) for origin in origins if np.isfinite(series.y[origin + shape.horizon - 1])]
    if not windows:
        template = _NONE_LONG_ENOUGH if name is None else _NOT_LONG_ENOUGH
        raise DataError(
            template.format(source=data.source, series=name, steps=shape.least_origin, horizon=shape.horizon)
        )
    spread = np.unique(np.linspace(0, len(windows) - 1, _MOST_WINDOWS).round().astype(int))
    chosen = np.array(windows)[spread]
    return chosen[:, 0], chosen[:, 1]


def _last_step_loss(model: ForecastModel, window: Window) -> Callable[[Any], Tensor]:
    def loss(output: Any) -> Tensor:
        raw, units = output[0]
        # Without the steps before, which count as missing. The recursive network also forecasts its context.
        target = torch.full(raw.shape[:2], torch.nan, dtype=window.target.dtype, device=raw.device)
        target[:, -1] = window.target[:, -1]
        return mean_loss(model.head, (raw, units), target)

    return loss


def _words(
    model: ForecastModel, data: SeriesSet, row: int, origin: int, windows: int, window: Window, name: str
) -> Words:
    options, series = with_defaults(model.options), data.series[row]
    stamp: Any = data.stamps_at(series, np.array([origin - 1]))[0]
    facts = {
        "run": name,
        "data": f"{data.source}, {len(data)} series, frequency {data.frequency}",
        "network": f"{options['model']}, {options['num_layers']} x {blocks_of(options)} of {options['hidden_size']} "
        f"units; context {model.shape.context} steps, horizon {model.shape.horizon}"
        + "".join(f". {sentence}" for sentence in reservoir_in_words(options)).rstrip("."),
        "looked at": (_LOOKED_AT_ONE if windows == 1 else _LOOKED_AT).format(
            count=windows, series=series.id, stamp=data.form.shown(stamp)
        ),
        "unit": "outputs and attributions are in normalised units, a window's mean change from season to season; in "
        f"the window plotted, {_unit_of(model, window):.4g} of the data's",
    }
    return Words(
        title=f"Inspection of {name}" if name else "Inspection of a forecaster",
        facts={key: value for key, value in facts.items() if value},
        loss="that of training, at the last step of the horizon",
        output="forecast of the last step",
        unit="normalised units",
        first_step=1 - model.shape.context,
        step="step (1 is the first that is forecast)",
    )


def _unit_of(model: ForecastModel, window: Window) -> float:
    return float(normalize(window.history, model.shape.seasons[0]).scale[0])
