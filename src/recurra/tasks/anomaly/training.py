"""What a detector learns: scales and a period, then a network that forecasts, then the errors that are normal."""

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from recurra.data.batches.batch import Batch
from recurra.data.series.channels import ChannelSet
from recurra.detection.period import period_of
from recurra.detection.subsequences import Subsequences
from recurra.errors import DataError
from recurra.models.channel_forecaster import ChannelForecaster
from recurra.models.sequence_autoencoder import SequenceAutoencoder, trailing_windows
from recurra.task import Fitted, Objective
from recurra.tasks.anomaly.learned import AnomalyLearned, ErrorModel
from recurra.tasks.anomaly.scoring import (
    after_warm_up,
    baseline_scores,
    contributions,
    distances,
    fast_distance,
    fast_parts,
    forecast_errors,
    raw_parts,
    short_means,
    slow_parts,
)
from recurra.training import Mean, evaluate, processes

if TYPE_CHECKING:
    from recurra.tasks.anomaly.detector import AnomalyDetector

__all__ = ["FittedDetector", "check_like", "fit_errors", "learn", "make_objective", "row_scores"]

_log = logging.getLogger("recurra.anomaly")

FittedDetector = Fitted[AnomalyLearned, ChannelForecaster | SequenceAutoencoder]

_FEWEST_ROWS = 50
_WINDOW = 100  # steps that a sequence of a batch forecasts from
_WINDOW_PERIODS, _MOST_OF_ROWS = 2, 1 / 3  # of an autoencoder's window: its length, and the part of the rows it takes
_VALIDATED = 64  # windows of a series
_WARM_UP = 200  # steps before those validated, that the state is made from
_RIDGE = 1e-3  # in units of the squared scale of a channel
_TAILS = 0.005  # of the values of a channel on each side, that its scale is not measured by
_CALIBRATION_ROWS = 500
_CALIBRATION_PERIODS = 5
_FEWEST_SCORES = 20  # that a tail is fitted to
_COLD_STARTS = 100  # windows
_USUAL = 0.9  # the quantile of the short means, below which an alarm ends
_UNUSUAL = 1.5  # times the usual distance: the network has no past yet
_SETTLED = 3  # periods after which the exponential mean of the scores has forgotten the start
_HIGH = 0.9  # the quantile of distances that are compared: the mean is that of a few anomalies


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
    if _training_rows(rows, options.validation_fraction) <= options.horizon:
        raise DataError(
            f"{data.source}: of the {rows} rows of the longest series too few are left to train with. Set a smaller "
            "validation_fraction or horizon."
        )
    joined = np.concatenate([one.values for one in data])
    for name, column in zip(data.channels, joined.T, strict=True):
        if np.isnan(column).all():
            raise DataError(f"{data.source}: {name} has no value in any row. Leave it out, as with --ignore {name}.")
    scales = [_scale(column[np.isfinite(column)]) for column in joined.T]
    centre, scale = (tuple(column) for column in zip(*scales, strict=True))
    longest = max(data, key=len)
    missing = bool(np.isnan(joined).any())
    none, mark = Subsequences(1, np.zeros(1), np.zeros((1, 1))), data.columns.decimal or "."
    learned = AnomalyLearned(data.channels, centre, scale, missing, 1, data.step_seconds, mark, none)
    filled = [learned.filled(learned.standardize(one.values)) for one in data]
    period = period_of(filled[data.series.index(longest)][:, 0])
    trained_on = _training_rows(rows, options.validation_fraction)
    length = max(2, min(_WINDOW_PERIODS * period, int(trained_on * _MOST_OF_ROWS)))
    window = length if options.detector == "reconstruction" else 0
    return replace(learned, period=period, window=window, subsequences=Subsequences.fit(filled, 2 * period))


def check_like(learned: AnomalyLearned, data: ChannelSet) -> None:
    """Refuse other channels than those of training. Raises DataError."""
    if data.channels != learned.channels:
        raise DataError(
            f"{data.source}: expected the channels trained on ({', '.join(learned.channels)}), got "
            f"{', '.join(data.channels)}"
        )


def make_objective(
    options: "AnomalyDetector", fitted: FittedDetector, data: ChannelSet, validation_data: ChannelSet | None
) -> Objective:
    """Windows to train with, and what to validate with: the last rows of each series, or validation data."""
    learned, horizon, device = fitted.learned, options.horizon, fitted.device
    standard = [learned.standardize(one.values) for one in data]
    inputs = [torch.from_numpy(learned.inputs(one)).float() for one in standard]
    targets = [_wanted(learned, one, horizon) for one in standard]
    fraction = options.validation_fraction if validation_data is None else 0.0
    ends = [_training_rows(len(one), fraction) for one in standard]
    beyond = 0 if learned.window else horizon
    window = learned.window or max(1, min(_WINDOW, max(ends) - horizon))
    usable = np.array([max(0, end - beyond - window + 1) for end in ends])
    owners, first = np.repeat(np.arange(len(usable)), usable), np.concatenate([[0], np.cumsum(usable)])
    partition = processes().partition

    def batch(step: int) -> Batch:
        chosen = np.random.default_rng([options.seed, step]).integers(len(owners), size=options.batch_size)
        spans = [(int(owners[k]), int(k - first[owners[k]])) for k in partition.of(chosen)]
        rows = torch.stack([inputs[s][at : at + window] for s, at in spans])
        wanted = torch.stack([targets[s][at : at + window] for s, at in spans])
        return Batch(rows.to(device), wanted.to(device), float((~wanted.isnan()).sum()))

    def validation_batches() -> list[Batch]:
        batches, series = [], zip(inputs, targets, ends, strict=True)
        if validation_data is not None:
            check_like(learned, validation_data)
            own = [learned.standardize(one.values) for one in validation_data]
            series = [(torch.from_numpy(learned.inputs(one)).float(), _wanted(learned, one, horizon), 0) for one in own]
        for rows, wanted, end in series:
            begin = max(0, end - (learned.window or _WARM_UP))
            scored = wanted[begin:].clone()
            scored[: end - begin] = torch.nan
            read = rows[begin:].unsqueeze(0)
            scored = scored.unsqueeze(0)
            if learned.window:
                if len(rows) - begin < window:
                    continue
                every = max(1, (len(rows) - begin - window + 1) // _VALIDATED)
                read, scored = (trailing_windows(one[0], window)[::every] for one in (read, scored))
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


def loss(forecasts: Tensor, targets: Tensor) -> Tensor:
    """The mean Huber loss over what came; targets are NaN where nothing did."""
    came = ~targets.isnan()
    return nn.functional.smooth_l1_loss(forecasts[came], targets[came])


def fit_errors(
    options: "AnomalyDetector", fitted: FittedDetector, data: ChannelSet, validation_data: ChannelSet | None
) -> AnomalyLearned:
    """What was learned, with the Gaussian of the forecast errors, and the scores that calibrate the threshold.

    The Gaussian is that of the rows that the network was trained on. The scores are those of validation data, or of the
    last rows of each series; if these are few, a message says so, and they are those of all rows. With a
    `contamination` the Gaussian is fitted twice, the second time without that fraction of the rows, the least likely,
    which do not calibrate the threshold either.

    Raises:
        DataError: too few rows are left to calibrate the threshold with.
    """
    learned, size = fitted.learned, len(fitted.learned.channels)
    first = learned.window or options.horizon  # row whose errors are all there
    standard = [learned.standardize(one.values) for one in data]
    errors = [forecast_errors(fitted, one)[0].reshape(len(one), -1) for one in standard]
    beyond = [learned.beyond(one.values) for one in data]
    fraction = options.validation_fraction if validation_data is None else 0.0
    trained = [_training_rows(len(one), fraction) for one in errors]
    model = _gaussian(np.concatenate([one[first:end] for one, end in zip(errors, trained, strict=True)]))
    aside: list[NDArray[np.bool_]] | list[None] = [None] * len(errors)
    if options.contamination:
        raw = [contributions(one, *model, size).sum(axis=1) for one in errors]
        limit = np.quantile(np.concatenate(raw), 1 - options.contamination)
        aside = [(one > limit)[:, None] for one in raw]
        errors = [np.where(rows, np.nan, own) for rows, own in zip(aside, errors, strict=True)]
        beyond = [np.where(rows, 0.0, own) for rows, own in zip(aside, beyond, strict=True)]
        left = np.concatenate([one[first:end] for one, end in zip(errors, trained, strict=True)])
        model = _gaussian(left[~np.isnan(left).all(axis=1)])
    warm_up = learned.window - 1 or 1
    settled = warm_up
    if not learned.window:
        warm_up = _warm_up(fitted, standard, model, np.concatenate(errors))
        settled = warm_up + _SETTLED * learned.period
    parts = [
        after_warm_up(distances(fitted, one, own, model, rows), warm_up)
        for one, own, rows in zip(standard, errors, aside, strict=True)
    ]
    fast = [after_warm_up(fast_parts(*pair, *model), warm_up) for pair in zip(errors, beyond, strict=True)]
    scores = [_all_scores(*pair, learned) for pair in zip(parts, fast, strict=True)]
    last = [one[:, max(end, settled) :] for one, end in zip(scores, trained, strict=True)]
    if validation_data is not None:
        last = [row_scores(fitted, one.values, model, warm_up)[:, settled:] for one in validation_data]
    enough = max(_CALIBRATION_ROWS, _CALIBRATION_PERIODS * learned.period)
    clean, begin = np.concatenate(last, axis=1), settled
    if clean.shape[1] < enough:
        _log.info("the last %d rows are too few to set the threshold by; all rows set it", clean.shape[1])
        begin = min(settled, max(map(len, errors)) // 2)
        clean = np.concatenate([one[:, begin:] for one in scores], axis=1)
    if clean.shape[1] < _FEWEST_SCORES:
        raise DataError(
            f"{data.source}: {clean.shape[1]} rows are left to set the threshold by, after the first {begin} that the "
            f"network and the period of {learned.period} rows need; expected at least {_FEWEST_SCORES}. Give more rows."
        )
    short = [short_means(learned, *pair) for pair in zip(parts, fast, strict=True)]
    usual = np.quantile(np.concatenate([one[warm_up:] for one in short]), _USUAL)
    simple = [
        np.stack([list(baseline_scores(learned, one, after, options.seed).values()) for after in (False, True)])
        for one in standard
    ]
    baselines = np.concatenate([one[..., min(2 * learned.period, one.shape[-1] // 2) :] for one in simple], axis=-1)
    slow, hindsight, own = clean
    return learned.with_errors(ErrorModel(*model, slow, hindsight, own, np.array(warm_up), np.array(usual), baselines))


def _warm_up(
    fitted: FittedDetector,
    standard: list[NDArray[np.float64]],
    model: tuple[NDArray[np.float64], NDArray[np.float64]],
    errors: NDArray[np.float64],
) -> int:
    """After how many first rows distances are as small as usual, measured on windows of the training rows."""
    channels = standard[0].shape[1]
    steps = min(_WINDOW, max(map(len, standard)) // 3)
    starts = [(one, at) for one in standard for at in range(len(one) - steps + 1)]
    chosen = starts[:: max(1, len(starts) // _COLD_STARTS)]
    cold = []
    for one, at in chosen:
        own = forecast_errors(fitted, one[at : at + steps])[0].reshape(steps, -1)
        cold.append(contributions(own, *model, channels).sum(axis=1))
    usual = np.quantile(contributions(errors, *model, channels).sum(axis=1), _HIGH)
    above = np.flatnonzero(np.quantile(cold, _HIGH, axis=0) > _UNUSUAL * usual)
    least = len(model[0]) // channels + 1
    return max(least, int(above[-1]) + 1 if len(above) else 0)


def row_scores(
    fitted: FittedDetector,
    values: NDArray[np.float64],
    model: tuple[NDArray[np.float64], NDArray[np.float64]],
    warm_up: int,
) -> NDArray[np.float64]:
    """The scores (3, T) of values (T, C): slow ones, causal and in hindsight; and fast ones. See `raw_parts`."""
    parts, fast, _ = raw_parts(fitted, values, model, warm_up)
    return _all_scores(parts, fast, fitted.learned)


def _all_scores(parts: NDArray[np.float64], fast: NDArray[np.float64], learned: AnomalyLearned) -> NDArray[np.float64]:
    """The scores (3, T) of contributions (T, C): slow ones, causal and in hindsight; and fast ones."""
    slow = [slow_parts(learned, parts, after).sum(axis=1) for after in (False, True)]
    return np.stack([*slow, fast_distance(fast)])


def _scale(values: NDArray[np.float64]) -> tuple[float, float]:
    """The mean and the standard deviation of a channel, without its most extreme values."""
    unit = float(abs(values).max()) or 1.0
    values = values / unit  # the squares of huge values are infinite
    low, high = np.quantile(values, [_TAILS, 1 - _TAILS])
    middle = values[(values >= low) & (values <= high)]
    centre, deviation = float(middle.mean()), float(middle.std())
    if deviation <= 1e-9:
        # Constant but for rare values: in these, or in the level itself, a change is measured.
        deviation = float(values.std()) or abs(centre) or 1.0
    return centre * unit, deviation * unit


def _training_rows(rows: int, validation_fraction: float) -> int:
    return rows - int(rows * validation_fraction)


def _wanted(learned: AnomalyLearned, standard: NDArray[np.float64], horizon: int) -> Tensor:
    """What a network is to say of each row: the rows that follow, or of an autoencoder the row itself."""
    return torch.from_numpy(standard).float() if learned.window else _targets(standard, horizon)


def _targets(standard: NDArray[np.float64], horizon: int) -> Tensor:
    """What comes after each row: (T, N * C), NaN beyond the end."""
    padded = np.concatenate([standard, np.full((horizon, standard.shape[1]), np.nan)])
    ahead = [padded[step : step + len(standard)] for step in range(1, horizon + 1)]
    return torch.from_numpy(np.concatenate(ahead, axis=1)).float()


def _gaussian(errors: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean and the precision of errors (T, E), in which missing ones count as 0."""
    filled = np.nan_to_num(errors)
    mean, size = filled.mean(axis=0), filled.shape[1]
    covariance = (filled - mean).T @ (filled - mean) / max(1, len(filled) - 1)
    return mean, np.linalg.inv(covariance + _RIDGE * np.eye(size))
