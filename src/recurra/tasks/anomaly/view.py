"""What `inspect` shows of a detector."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from recurra.data.series.channels import ChannelSet
from recurra.errors import DataError, ParameterError
from recurra.inspection import Words
from recurra.models.detector_errors import after_warm_up, networks_of, scaled_errors, window_of
from recurra.models.sequence_autoencoder import patch_length
from recurra.task import View
from recurra.task.architecture import blocks_of
from recurra.tasks.anomaly.scoring import FittedDetector
from recurra.tasks.anomaly.training import loss

__all__ = ["view"]

_STEPS = 100
_SPREAD = 16  # windows, of which one is plotted

_NETWORK = "{num_layers} x {blocks} of {hidden_size} units; {horizon} steps of {channels} channels are forecast"
_AUTOENCODER = (
    "2 x {num_layers} x {blocks} of {hidden_size} units; windows of {window} rows of {channels} channels are written "
    "again from {code_size} numbers, {patch} rows at a step"
)
_FIRST = "; it is the first of {count} networks whose scores are averaged"
_LOOKED_AT = "{count} windows of {steps} rows; plotted is series {series}, up to row {row} ({stamp})"


def view(fitted: FittedDetector, data: ChannelSet, row: int | None, name: str) -> View:
    """What `inspect` shows: windows of rows, of which the plotted one ends before the row looked at.

    Args:
        fitted: a detector whose training has ended.
        data: with the channels of training.
        row: of the first series, from 1; None: that with the largest errors.
        name: of the run, for the page.

    Raises:
        DataError: the channels are others, or there are too few rows.
        ParameterError: there is no such row, or no row before it.
    """
    learned = fitted.learned
    statistics = learned.statistics
    statistics.check_like(data)
    assert learned.errors is not None
    networks, member = networks_of(fitted.network), learned.errors.members[0]
    network, window = networks[0], window_of(networks[0])
    series = data.series[0]
    if len(series) < 3:
        raise DataError(f"{data.source}: the first series has {len(series)} rows, expected at least 3 to look at")
    if row is not None and not 2 <= row <= len(series):
        raise ParameterError("row", f"2 to {len(series)}, the rows of the first series with one before it", row)
    standard, elapsed = statistics.standardize(series.values), statistics.elapsed(series)
    errors = scaled_errors(statistics, network, standard, elapsed, member.growth)[0]
    parts = member.gaussian.parts(errors, len(learned.channels))
    parts = after_warm_up(parts, min(int(member.warm_up), len(parts) - 1))
    end = int(parts[1:].sum(axis=1).argmax()) + 1 if row is None else row - 1
    # A forecaster reads the rows before the one looked at, an autoencoder the window that ends with it.
    steps, through = (window, 1) if window else (min(_STEPS, end), 0)
    if (row is not None and end < window - 1) or len(series) < window:
        raise DataError(f"{data.source}: an autoencoder reads {window} rows, up to the one looked at")
    end = max(end, window - 1)
    ends = np.unique(np.linspace(steps - through, len(standard) - 1, _SPREAD).round().astype(int))
    ends = np.array([end, *ends[ends != end]])
    inputs = torch.from_numpy(statistics.inputs(standard, elapsed, int(fitted.options["horizon"]))).float()
    batch = torch.stack([inputs[at - steps + through : at + through] for at in ends.tolist()]).to(fitted.device)
    count, channel = len(learned.channels), int(parts[end].argmax())
    target = torch.from_numpy(statistics.watched(standard)[ends]).float().to(fitted.device)

    def next_row(result: tuple[Tensor, Any]) -> Tensor:
        return loss(result[0][:, -1, :count], target)

    def forecast(result: tuple[Tensor, Any]) -> Tensor:
        return result[0][:, -1, channel]

    described, verb = (_AUTOENCODER, "row written again") if window else (_NETWORK, "forecast")
    if len(networks) > 1:
        described += _FIRST
    facts = {
        "run": name,
        "data": f"{data.source}, {data.rows:,} rows of {len(data)} series",
        "network": described.format(
            channels=count,
            window=steps,
            patch=patch_length(steps),
            count=len(networks),
            blocks=blocks_of(fitted.options),
            **fitted.options,
        ),
        "looked at": _LOOKED_AT.format(
            count=len(ends), steps=steps, series=series.id, row=end + 1, stamp=data.form.shown(series.stamps[end])
        ),
        "channel": f"the output is the {verb} of {learned.channels[channel]}, which adds most to the score there",
    }
    return View(
        (batch,),
        Words(
            title=f"Inspection of {name}" if name else "Inspection of a detector",
            facts={key: value for key, value in facts.items() if value},
            loss="that of training, at the row looked at",
            output=f"{verb} of {learned.channels[channel]}",
            unit="standard deviations of the channel",
            first_step=1 if window else end - steps + 1,
        ),
        loss=next_row,
        output=forecast,
        reads="recurrent",
        alone=((batch[:1],), forecast),
        network=network if len(networks) > 1 else None,
    )
