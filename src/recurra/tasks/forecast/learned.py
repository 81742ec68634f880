"""From series and settings to a trained model."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from recurra.data.series.series_set import SeriesSet
from recurra.errors import DataError, ParameterError
from recurra.tasks.forecast.covariates import CovariateEncoding
from recurra.tasks.forecast.fitted import FittedModel, input_sizes
from recurra.tasks.forecast.network import mean_loss
from recurra.tasks.forecast.normalization import Normalization
from recurra.tasks.forecast.settings import ForecastSettings
from recurra.tasks.forecast.windows import Window, Windows, WindowSampler, WindowShape
from recurra.training import Batch, Mean, Trainer, evaluate, processes
from recurra.training.device import check_device

__all__ = ["Preparation", "make_trainer", "prepare", "window_shape"]

_log = logging.getLogger("recurra.forecast")
_MOST_VALIDATION_WINDOWS = 1024
_ENOUGH_VALIDATION_WINDOWS = 64


@dataclass(frozen=True)
class Preparation:
    """A model to be trained, and the windows to train and validate it with.

    Attributes:
        model: untrained.
        windows: of the training data.
        ends: steps of each series that training may see.
        rows: series of each validation window.
        origins: its origin.
    """

    model: FittedModel
    windows: Windows
    ends: np.ndarray
    rows: np.ndarray
    origins: np.ndarray


def window_shape(settings: ForecastSettings, data: SeriesSet) -> WindowShape:
    """The sizes of the windows: what the settings say, else from the frequency.

    A season longer than half of the longest series has not been seen twice, and is left out.
    """
    longest = int(data.lengths.max())
    seasons = settings.seasons or tuple(s for s in data.frequency.seasons if 2 * s <= longest) or (1,)
    context = settings.context_length or max(3 * seasons[0], settings.horizon, 8)
    return WindowShape(seasons, context, settings.horizon)


def prepare(data: SeriesSet, settings: ForecastSettings) -> Preparation:
    """Check that the data can be learned from, and lay out model and windows; nothing long is done yet.

    Raises:
        DataError: where no series is long enough, or counts are asked for and a value is not a count.
    """
    check_device(settings.device)
    shape = window_shape(settings, data)
    _check_lengths(data, shape)
    if settings.output_kind == "negative_binomial":
        _check_counts(data)
    encoding = CovariateEncoding.fit(data, settings.calendar, settings.holidays)
    windows = Windows(data, encoding, shape)
    lengths = windows.lengths
    count = _validation_windows(data, settings)
    kept = count * shape.horizon
    validated = lengths - kept - shape.horizon >= shape.least_origin
    ends = np.where(validated, lengths - kept, lengths)
    back = np.arange(1, count + 1) * shape.horizon
    rows = np.repeat(np.flatnonzero(validated), len(back))
    origins = (lengths[validated][:, None] - back).ravel()
    if len(rows) > _MOST_VALIDATION_WINDOWS:
        chosen = np.random.default_rng(settings.seed).permutation(len(rows))[:_MOST_VALIDATION_WINDOWS]
        rows, origins = rows[np.sort(chosen)], origins[np.sort(chosen)]
    if count and not len(rows):
        if settings.conformal:
            raise DataError(
                f"{data.source}: no series is long enough to keep {kept} steps for conformal intervals; the longest "
                f"has {lengths.max()} steps, {kept + shape.horizon + shape.least_origin} are needed. Shorten the "
                "horizon, or leave conformal out."
            )
        _log.warning(
            "%s: no series is long enough for validation windows; training without early stopping",
            data.source,
        )
    seen = {
        series.id: int(np.asarray(data.stamps(series)[end - 1]).astype(np.int64))
        for series, end in zip(data, lengths, strict=True)
    }
    sizes = input_sizes(windows.cut(np.array([0]), np.array([0])))
    model = FittedModel(settings, data.frequency, encoding, shape, sizes, seen)
    return Preparation(model, windows, ends, rows, origins)


def make_trainer(
    preparation: Preparation,
    folder: Path | None = None,
    tensorboard: bool = False,
    progress: bool | None = None,
) -> Trainer:
    """The trainer of a preparation's model; arguments as of `Trainer`."""
    model, windows = preparation.model, preparation.windows
    settings, device, context = model.settings, model.device, model.shape.context
    share = processes().share
    if settings.batch_size < share.count:
        raise ParameterError("batch_size", f"at least the number of processes, {share.count}", settings.batch_size)
    sampler = WindowSampler(windows, preparation.ends, settings.batch_size, settings.seed, share)
    rows, origins = share.of(preparation.rows), share.of(preparation.origins)

    def batch(window: Window) -> Batch:
        # The recursive network also learns from each step of the context.
        steps = [window.target] if settings.model == "direct" else [window.history[:, -context:], window.target]
        target = torch.cat(steps, dim=1)
        observed = float((~target.isnan()).sum())
        return Batch(window.to(device), target.to(device), observed)

    def loss(output: tuple[Tensor, Normalization], target: Tensor) -> Tensor:
        return mean_loss(model.head, output, target)

    def validate(network: nn.Module) -> Mean:
        parts = (slice(start, start + 256) for start in range(0, len(rows), 256))
        return evaluate(network, loss, (batch(windows.cut(rows[part], origins[part])) for part in parts))

    return Trainer(
        model.network,
        loss,
        lambda step: batch(sampler(step)),
        settings,
        validate if len(preparation.rows) else None,
        folder,
        tensorboard,
        progress=progress,
    )


def _validation_windows(data: SeriesSet, settings: ForecastSettings) -> int:
    """Horizons of each series to validate on: a few windows are no steady figure where there are few series."""
    if settings.validation_windows is not None:
        return settings.validation_windows
    wanted = -(-_ENOUGH_VALIDATION_WINDOWS // len(data))
    affordable = int(np.median(data.lengths)) // (10 * settings.horizon)
    return max(1, min(wanted, affordable))


def _check_lengths(data: SeriesSet, shape: WindowShape) -> None:
    needed = shape.least_origin + shape.horizon
    short = [series for series in data if len(series) < needed]
    if not short:
        return
    shown = ", ".join(f"{series.id!r} ({len(series)})" for series in short[:5]) + (", ..." if len(short) > 5 else "")
    reason = f"a season of {shape.seasons[0]}, a step and a horizon of {shape.horizon} need {needed} steps"
    if len(short) == len(data):
        raise DataError(
            f"{data.source}: every series is too short to learn from: {reason}; got {shown}. Shorten the horizon, "
            "or give a shorter season."
        )
    _log.warning(
        "%s: %d of %d series are too short to learn from (%s) and are left out of training: %s; "
        "they can still be forecast",
        data.source,
        len(short),
        len(data),
        reason,
        shown,
    )


def _check_counts(data: SeriesSet) -> None:
    for series in data:
        bad = np.flatnonzero((series.y < 0) | (series.y != np.floor(series.y)) & np.isfinite(series.y))
        if len(bad):
            raise DataError(
                f"{data.source}: series {series.id!r} at {data.stamps(series)[bad[0]]}: expected a count for "
                f"output='negative_binomial', got {series.y[bad[0]]:g}. Use another output."
            )
