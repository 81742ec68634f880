"""Look inside a trained forecaster."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recurra import inspection
from recurra.data.series.series_set import SeriesSet
from recurra.data.series.stamps import stamp_text
from recurra.errors import DataError
from recurra.inspection import Inspection, Words, report_inspection
from recurra.tasks.forecast.fitted import FittedModel
from recurra.tasks.forecast.forecaster import Forecaster
from recurra.tasks.forecast.network import mean_loss
from recurra.tasks.forecast.normalization import normalize
from recurra.tasks.forecast.windows import Window, Windows

__all__ = ["inspect", "inspect_forecaster"]

_MOST_WINDOWS = 32


def inspect(folder: Path, series: str | None = None, out: Path | None = None) -> str:
    """Inspect a run, and write the page, its pictures and tables.

    Args:
        folder: of the run.
        series: id of the series to look at; all of them, the first drawn, where None.
        out: where they go; `inspection` in the run where None.

    Returns:
        What to print.

    Raises:
        RunError: where the folder is no such run.
        DataError: where there is no such series, or none is long enough.
    """
    found = inspect_forecaster(Forecaster.load(folder), series, str(folder))
    return report_inspection(found, folder / "inspection" if out is None else out)


def inspect_forecaster(forecaster: Forecaster, series: str | None = None, name: str = "") -> Inspection:
    """Inspect a fitted forecaster on windows of the data given to `fit`, those steps held out included.

    The loss is that of training at the last step of the horizon; the output attributed is the centre of the forecast
    there. The first window is the one that is drawn: the last of the series.

    Args:
        forecaster: fitted.
        series: id of the series; all of them, the first drawn, where None.
        name: of the run, for the page.

    Raises:
        RunError: where it is not fitted.
        DataError: where there is no such series, or none is long enough.
    """
    model, data = forecaster.model, forecaster.data
    rows, origins = _windows(model, data, series)
    window = Windows(data, model.encoding, model.shape).cut(rows, origins).to(model.device)
    words = _words(model, data, int(rows[0]), int(origins[0]), len(rows), window, name)
    return inspection.inspect(
        model.network,
        window,
        loss=_last_step_loss(model, window),
        output=lambda output: output[0][0][:, -1, 0],
        reads="recurrent",
        words=words,
    )


def _windows(model: FittedModel, data: SeriesSet, name: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Series and origins of windows whose last step was observed, the one to draw first."""
    shape = model.shape
    found: list[tuple[int, int]] = []
    for row, series in enumerate(data):
        if name is not None and series.id != data[name].id:
            continue
        last = len(series) - shape.horizon
        origins = range(last, shape.least_origin - 1, -max(1, shape.horizon // 2))
        found += [(row, origin) for origin in origins if np.isfinite(series.y[origin + shape.horizon - 1])]
    if not found:
        which = "no series is" if name is None else f"series {name!r} is not"
        raise DataError(
            f"{data.source}: {which} long enough to look at: a window needs {shape.least_origin} steps and, after "
            f"them, a horizon of {shape.horizon}"
        )
    places = np.unique(np.linspace(0, len(found) - 1, _MOST_WINDOWS).round().astype(int))
    chosen = np.array(found)[places]
    return chosen[:, 0], chosen[:, 1]


def _last_step_loss(model: FittedModel, window: Window) -> Callable[[Any], Tensor]:
    def loss(output: Any) -> Tensor:
        raw, units = output[0]
        # Without the steps before, which count as missing. The recursive network also forecasts its context.
        target = torch.full(raw.shape[:2], torch.nan, dtype=window.target.dtype, device=raw.device)
        target[:, -1] = window.target[:, -1]
        return mean_loss(model.head, (raw, units), target)

    return loss


def _words(
    model: FittedModel, data: SeriesSet, row: int, origin: int, windows: int, window: Window, name: str
) -> Words:
    settings, series = model.settings, data.series[row]
    stamps: Any = data.stamps(series)
    facts = {
        "run": name,
        "data": f"{data.source}, {len(data)} series, frequency {data.frequency}",
        "network": f"{settings.model}, {settings.num_layers} x {settings.cell} of {settings.hidden_size} units; "
        f"context {model.shape.context} steps, horizon {model.shape.horizon}",
        "looked at": f"{windows} windows; drawn is series {series.id!r}, with {stamp_text(stamps[origin - 1])} as its "
        "last step before the forecast",
        "unit": "outputs and attributions are in normalised units, a window's mean change from season to season; in "
        f"the window drawn, {_unit_of(model, window):.4g} of the data's",
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


def _unit_of(model: FittedModel, window: Window) -> float:
    return float(normalize(window.history, model.shape.seasons[0]).scale[0])
