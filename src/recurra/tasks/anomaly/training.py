"""What a detector learns: scales and a period, then networks that forecast, or that write windows again."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from recurra.data.batches.batch import Batch
from recurra.data.series.channel_statistics import ChannelStatistics
from recurra.data.series.channels import ChannelSet
from recurra.data.series.row_times import RowTimes
from recurra.detection.period import period_of
from recurra.detection.subsequences import Subsequences
from recurra.errors import DataError
from recurra.models.channel_forecaster import ChannelForecaster
from recurra.models.detector_calibration import fit_error_model, training_rows
from recurra.models.detector_ensemble import DetectorEnsemble
from recurra.models.detector_errors import Network, networks_of, window_of
from recurra.models.sequence_autoencoder import SequenceAutoencoder, trailing_windows
from recurra.models.timed_forecaster import TimedForecaster
from recurra.task import Objective
from recurra.task.architecture import trunk_of
from recurra.tasks.anomaly.learned import AnomalyLearned
from recurra.tasks.anomaly.scoring import FittedDetector, baseline_scores
from recurra.training import Mean, evaluate, processes

if TYPE_CHECKING:
    from recurra.tasks.anomaly.detector import AnomalyDetector

__all__ = ["fit_errors", "learn", "loss", "make_network", "make_objective"]

_FEWEST_ROWS = 50
_WINDOW = 100  # steps that a sequence of a batch forecasts from
_WINDOW_PERIODS, _MOST_OF_ROWS = 2, 1 / 3  # of an autoencoder's window: its length, and the part of the rows it takes
_VALIDATED = 64  # windows of a series
_WARM_UP = 200  # steps before those validated, that the state is made from


def learn(options: "AnomalyDetector", data: ChannelSet) -> AnomalyLearned:
    """Scales, the period, and the model of subsequences.

    Raises:
        DataError: the rows are too few, or a channel has no value.
    """
    rows, fewest = max(map(len, data)), _FEWEST_ROWS + options.horizon
    if rows < fewest:
        raise DataError(
            f"{data.source}: expected a series of at least {fewest} rows to learn from, {_FEWEST_ROWS} and the "
            f"horizon; the longest has {rows}. Give more rows, or a smaller horizon."
        )
    if training_rows(rows, options.validation_fraction) <= options.horizon:
        raise DataError(
            f"{data.source}: of the {rows} rows of the longest series too few are left to train with. Set a smaller "
            "validation_fraction or horizon."
        )
    statistics = ChannelStatistics.of(data)
    if options.times:
        statistics = replace(statistics, times=_times(data))
    longest = max(data, key=len)
    filled = [statistics.watched(statistics.filled(statistics.standardize(one.values))) for one in data]
    period = period_of(filled[data.series.index(longest)][:, 0])
    trained_on = training_rows(rows, options.validation_fraction)
    length = max(2, min(_WINDOW_PERIODS * period, int(trained_on * _MOST_OF_ROWS)))
    window = 0 if options.detector == "forecast" else length
    windows = Subsequences.fit(filled, 2 * period)
    mark = data.columns.decimal or "."
    of_channels = statistics.with_period(period)
    alarms = {"scales": options.scales, "cool_down": options.cool_down}
    return AnomalyLearned(of_channels, data.step_seconds, mark, windows, window, **alarms)


def _times(data: ChannelSet) -> RowTimes:
    """When rows came. Raises DataError."""
    times = RowTimes.of(data)
    if times is None:
        raise DataError(
            f"{data.source}: expected a column of times, as with times the network reads when rows come. Name it "
            "(--time-column), or train without --times."
        )
    return times


def make_network(options: "AnomalyDetector", learned: AnomalyLearned) -> Network | DetectorEnsemble:
    """The network that the options describe, or an ensemble of several: forecasters first, then autoencoders."""
    cell, channels = trunk_of(options.cell, options.architecture), len(learned.channels)

    def forecaster() -> ChannelForecaster | TimedForecaster:
        sizes = (options.horizon, options.hidden_size, options.num_layers, options.dropout)
        kind = ChannelForecaster if learned.statistics.times is None else TimedForecaster
        return kind(cell, learned.statistics.input_size, channels, *sizes)

    def autoencoder() -> SequenceAutoencoder:
        return SequenceAutoencoder(
            cell,
            learned.statistics.input_size,
            channels,
            learned.window,
            hidden_size=options.hidden_size,
            num_layers=options.num_layers,
            code_size=options.code_size,
            dropout=options.dropout,
        )

    makers = {"forecast": [forecaster], "reconstruction": [autoencoder], "both": [forecaster, autoencoder]}
    networks = [make() for make in makers[options.detector] for _ in range(options.members)]
    if len(networks) == 1:
        return networks[0]
    # Beside an autoencoder a forecaster reads as many rows as alone. Without one it is validated on whole series.
    rows = [window_of(one) or (_WINDOW if learned.window else 0) for one in networks]
    return DetectorEnsemble(networks, rows)


def make_objective(
    options: "AnomalyDetector", fitted: FittedDetector, data: ChannelSet, validation_data: ChannelSet | None
) -> Objective:
    """Windows to train with, and what to validate with: the last rows of each series, or validation data."""
    learned, horizon, device = fitted.learned, options.horizon, fitted.device
    statistics, networks = learned.statistics, networks_of(fitted.network)
    standard, inputs = _rows(statistics, data, horizon)
    targets = [_wanted(networks, statistics.watched(one), horizon) for one in standard]
    fraction = options.validation_fraction if validation_data is None else 0.0
    ends = [training_rows(len(one), fraction) for one in standard]
    beyond, window = 0, learned.window
    if not all(map(window_of, networks)):
        beyond, window = horizon, max(window, 1, min(_WINDOW, max(ends) - horizon))
    unread = _unread(fitted.network, networks, window, targets[0].shape[1])
    usable = np.array([max(0, end - beyond - window + 1) for end in ends])
    owners, first = np.repeat(np.arange(len(usable)), usable), np.concatenate([[0], np.cumsum(usable)])
    partition = processes().partition

    def batch(step: int) -> Batch:
        chosen = np.random.default_rng([options.seed, step]).integers(len(owners), size=options.batch_size)
        spans = [(int(owners[k]), int(k - first[owners[k]])) for k in partition.of(chosen)]
        rows = torch.stack([inputs[s][at : at + window] for s, at in spans])
        wanted = torch.stack([targets[s][at : at + window] for s, at in spans]).masked_fill(unread, torch.nan)
        return Batch(rows.to(device), wanted.to(device), float((~wanted.isnan()).sum()))

    def validation_batches() -> list[Batch]:
        batches, series = [], zip(inputs, targets, ends, strict=True)
        if validation_data is not None:
            statistics.check_like(validation_data)
            rows = zip(*_rows(statistics, validation_data, horizon), strict=True)
            series = [(read, _wanted(networks, statistics.watched(own), horizon), 0) for own, read in rows]
        for rows, wanted, end in series:
            begin = max(0, end - (window if learned.window else _WARM_UP))
            scored = wanted[begin:].clone()
            scored[: end - begin] = torch.nan
            read = rows[begin:].unsqueeze(0)
            scored = scored.unsqueeze(0)
            if learned.window:
                if len(rows) - begin < window:
                    continue
                every = max(1, (len(rows) - begin - window + 1) // _VALIDATED)
                read, scored = (trailing_windows(one[0], window)[::every] for one in (read, scored))
                scored = scored.masked_fill(unread, torch.nan)
            weight = float((~scored.isnan()).sum())
            if weight:
                batches.append(Batch(read.to(device), scored.to(device), weight))
        return [batches[index] for index in partition.of(np.arange(len(batches)))]

    validation = validation_batches() if fraction or validation_data is not None else []

    def validate(network: nn.Module) -> Mean:
        return evaluate(network, loss, validation)

    return Objective(
        batch,
        loss,
        validate if validation else None,
        steps_per_epoch=max(1, round(sum(ends) / (window * options.batch_size))),
        unit="Huber loss of the standardised values",
    )


def fit_errors(
    options: "AnomalyDetector", fitted: FittedDetector, data: ChannelSet, validation_data: ChannelSet | None
) -> AnomalyLearned:
    """What was learned, with the errors of the networks and the scores of simple detectors on the training rows.

    Raises:
        DataError: too few rows are left to calibrate the threshold with.
    """
    learned = fitted.learned
    simple = [
        np.stack([list(baseline_scores(learned, one, after, options.seed).values()) for after in (False, True)])
        for one in (learned.statistics.standardize(own.values) for own in data)
    ]
    settled = [one[..., min(2 * learned.period, one.shape[-1] // 2) :] for one in simple]
    model = fit_error_model(
        learned.statistics,
        networks_of(fitted.network),
        data,
        validation_data,
        np.concatenate(settled, axis=-1),
        validation_fraction=options.validation_fraction,
        contamination=options.contamination,
    )
    return learned.with_errors(model)


def loss(forecasts: Tensor, targets: Tensor) -> Tensor:
    """The mean Huber loss over what came; targets are NaN where nothing did."""
    came = ~targets.isnan()
    return nn.functional.smooth_l1_loss(forecasts[came], targets[came])


def _rows(
    statistics: ChannelStatistics, data: ChannelSet, horizon: int
) -> tuple[list[NDArray[np.float64]], list[Tensor]]:
    """Of each series the standardised values (T, C + D), and what a network reads of them."""
    standard = [statistics.standardize(one.values) for one in data]
    pairs = zip(standard, data, strict=True)
    return standard, [
        torch.from_numpy(statistics.inputs(own, statistics.elapsed(one), horizon)).float() for own, one in pairs
    ]


def _wanted(networks: list[Network], standard: NDArray[np.float64], horizon: int) -> Tensor:
    """What networks are to say of each row (T, F): the rows that follow, or of an autoencoder the row itself."""
    row, ahead = torch.from_numpy(standard).float(), _targets(standard, horizon)
    return torch.cat([row if window_of(network) else ahead for network in networks], 1)


def _unread(network: nn.Module, networks: list[Network], window: int, size: int) -> Tensor:
    """Of the targets of a window (W, F), those of rows that their network does not read, as it reads fewer."""
    unread = torch.zeros(window, size, dtype=torch.bool)
    if isinstance(network, DetectorEnsemble):
        sizes = [one.channels if window_of(one) else one.output.out_features for one in networks]
        for rows, columns in zip(network.rows, unread.split(sizes, 1), strict=True):
            columns[: max(0, window - (rows or window))] = True
    return unread


def _targets(standard: NDArray[np.float64], horizon: int) -> Tensor:
    """What comes after each row: (T, N * C), NaN beyond the end."""
    padded = np.concatenate([standard, np.full((horizon, standard.shape[1]), np.nan)])
    ahead = [padded[step : step + len(standard)] for step in range(1, horizon + 1)]
    return torch.from_numpy(np.concatenate(ahead, axis=1)).float()
